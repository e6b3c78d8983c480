// Reads the metrics of UTAPI buckets for the last full quarter of an hour and the current one.
// It holds no key and signs nothing: countersign does.
'use strict';

const http = require('http');

const QUARTER = 15 * 60 * 1000;

function listMetrics(endpoint, buckets, timeRange) {
    const body = JSON.stringify({ buckets, timeRange });
    const options = {
        method: 'POST',
        headers: { 'Content-Type': 'application/x-amz-json-1.0', 'Content-Length': Buffer.byteLength(body) },
        timeout: 30000,
    };
    return new Promise((resolve, reject) => {
        const url = `${endpoint}/buckets?Action=ListMetrics&Version=20160815`;
        const request = http.request(url, options, response => {
            const parts = [];
            response.on('data', part => parts.push(part));
            response.on('error', reject);
            response.on('end', () => {
                const text = Buffer.concat(parts).toString('utf8');
                if (response.statusCode === 200) {
                    resolve(JSON.parse(text));
                } else {
                    reject(new Error(`HTTP ${response.statusCode}: ${text}`));
                }
            });
        });
        request.on('timeout', () => request.destroy(new Error('no answer within 30 s')));
        request.on('error', reject);
        request.end(body);
    });
}

const buckets = process.argv.slice(2);
if (buckets.length === 0) {
    console.error('usage: node list-metrics.js BUCKET...');
    process.exit(2);
}
const endpoint = (process.env.COUNTERSIGN_ENDPOINT || 'http://127.0.0.1:8480').replace(/\/+$/, '');
// UTAPI wants a start on a quarter of an hour and an end one millisecond before one.
const thisQuarter = Math.floor(Date.now() / QUARTER) * QUARTER;
listMetrics(endpoint, buckets, [thisQuarter - QUARTER, thisQuarter + QUARTER - 1])
    .then(metrics => console.log(JSON.stringify(metrics, null, 2)))
    .catch(error => {
        console.error(error.message);
        process.exitCode = 1;
    });
