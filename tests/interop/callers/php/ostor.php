<?php
/**
 * A billing system's way to manage object storage: SigV2 over the query up to its first `&`.
 *
 *     php ostor.php URL ACCESS-KEY SECRET-KEY METHOD QUERY
 */

declare(strict_types=1);

[, $url, $accessKey, $secretKey, $method, $query] = $argv;

$date = gmdate('D, d M Y H:i:s +0000');
$signed = implode("\n", [$method, '', '', $date, '/?' . explode('&', $query)[0]]);
$signature = base64_encode(hash_hmac('sha1', $signed, $secretKey, true));
$curl = curl_init("$url/?$query");
curl_setopt_array($curl, [
    CURLOPT_CUSTOMREQUEST => $method,
    CURLOPT_HTTPHEADER => ["Date: $date", "Authorization: AWS $accessKey:$signature", 'Content-Type:', 'Expect:', 'Host: ostor.internal'],
    CURLOPT_RETURNTRANSFER => true,
]);
$body = curl_exec($curl);
echo curl_getinfo($curl, CURLINFO_RESPONSE_CODE), ' ', trim((string) $body), "\n";
