<?php
/**
 * A script of the kind that hosting providers hand out: it signs each call itself and sends it as a POST with everything
 * in the query and an empty body. It deploys one machine and polls the job to its end.
 *
 *     php cloudstack.php URL API-KEY SECRET-KEY NAME
 */

declare(strict_types=1);

[, $url, $apiKey, $secretKey, $name] = $argv;

/** The one object inside an answer; an error ends the script. */
function call(string $command, array $parameters): array
{
    global $url, $apiKey, $secretKey;
    $parameters += ['command' => $command, 'response' => 'json', 'apiKey' => $apiKey];
    ksort($parameters);
    $query = http_build_query($parameters);
    // A literal space for the plus sign, as such scripts have it: right as long as no value holds a space.
    $signature = base64_encode(hash_hmac('sha1', strtolower(str_replace('+', ' ', $query)), $secretKey, true));
    $curl = curl_init("$url?$query&signature=" . urlencode($signature));
    curl_setopt_array($curl, [CURLOPT_POST => true, CURLOPT_POSTFIELDS => '', CURLOPT_RETURNTRANSFER => true]);
    $answer = current(json_decode((string) curl_exec($curl), true) ?? [[]]);
    if (isset($answer['errorcode'])) {
        fwrite(STDERR, "error {$answer['errorcode']}: {$answer['errortext']}\n");
        exit(1);
    }
    return $answer;
}

$job = call('deployVirtualMachine', ['zoneid' => 'z', 'serviceofferingid' => 'o', 'templateid' => 't', 'name' => $name])['jobid'];
do {
    $state = call('queryAsyncJobResult', ['jobid' => $job]);
} while ($state['jobstatus'] === 0);
echo isset($state['jobresult']['virtualmachine']) ? "deployed\n" : "not deployed\n";
