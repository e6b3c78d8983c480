<?php
/**
 * Management of an S3 object storage with `/?ostor-…` requests: users, keys, limits and usage.
 *
 * It holds no key and signs nothing: countersign does. Answers are arrays, or null where the server sends no body.
 */

declare(strict_types=1);

final class ObjectStorageError extends RuntimeException
{
}

final class ObjectStorage
{
    public function __construct(private string $endpoint)
    {
    }

    public function listUsers(): array
    {
        return $this->request('GET', 'ostor-users') ?? [];
    }

    public function queryUser(string $email): array
    {
        return $this->request('GET', 'ostor-users', ['emailAddress' => $email]) ?? [];
    }

    /** Creates a user; the answer holds the first key pair, which is shown only here and by queryUser. */
    public function createUser(string $email): array
    {
        return $this->request('PUT', 'ostor-users', ['emailAddress' => $email]) ?? [];
    }

    public function deleteUser(string $email): void
    {
        $this->request('DELETE', 'ostor-users', ['emailAddress' => $email]);
    }

    public function enableUser(string $email): void
    {
        $this->request('POST', 'ostor-users', ['emailAddress' => $email, 'enable' => null]);
    }

    public function disableUser(string $email): void
    {
        $this->request('POST', 'ostor-users', ['emailAddress' => $email, 'disable' => null]);
    }

    public function generateKey(string $email): array
    {
        return $this->request('POST', 'ostor-users', ['emailAddress' => $email, 'genKey' => null]) ?? [];
    }

    public function revokeKey(string $email, string $accessKey): void
    {
        $this->request('POST', 'ostor-users', ['emailAddress' => $email, 'revokeKey' => $accessKey]);
    }

    /** @param array{emailAddress?: string, bucket?: string} $whom */
    public function limits(array $whom): array
    {
        return $this->request('GET', 'ostor-limits', $whom) ?? [];
    }

    /**
     * Sets operations per second ("ops": default, get, put, list, delete) or bandwidth ("bandwidth": out, in KiB/s).
     *
     * @param array{emailAddress?: string, bucket?: string} $whom
     */
    public function setLimit(array $whom, string $type, string $resource, int $value): void
    {
        $limit = ['limit-type' => $type, 'limit-resource' => $resource, 'limit-value' => (string) $value];
        $this->request('PUT', 'ostor-limits', $whom + $limit);
    }

    /** @param array{emailAddress?: string, bucket?: string} $whom */
    public function deleteLimits(array $whom): void
    {
        $this->request('DELETE', 'ostor-limits', $whom);
    }

    public function listUsage(): array
    {
        return $this->request('GET', 'ostor-usage') ?? [];
    }

    public function usage(string $object): array
    {
        return $this->request('GET', 'ostor-usage', ['obj' => $object]) ?? [];
    }

    public function deleteUsage(string $object): void
    {
        $this->request('DELETE', 'ostor-usage', ['obj' => $object]);
    }

    /** The service name comes first in the query; an argument that is null is a flag. */
    private function request(string $method, string $service, array $arguments = []): ?array
    {
        $query = $service;
        foreach ($arguments as $name => $value) {
            $query .= '&' . rawurlencode($name) . ($value === null ? '' : '=' . rawurlencode($value));
        }
        $curl = curl_init($this->endpoint . '/?' . $query);
        curl_setopt_array($curl, [
            CURLOPT_CUSTOMREQUEST => $method,
            CURLOPT_HTTPHEADER => ['Content-Type:', 'Expect:'], // neither is sent: there is no body
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_CONNECTTIMEOUT => 10,
            CURLOPT_TIMEOUT => 60,
        ]);
        $body = curl_exec($curl);
        if ($body === false) {
            throw new ObjectStorageError("$method $service: " . curl_error($curl));
        }
        $status = curl_getinfo($curl, CURLINFO_RESPONSE_CODE);
        if ($status >= 300) {
            // Answers are JSON, errors are S3 XML.
            $code = preg_match('~<Code>([^<]*)</Code>~', $body, $found) ? $found[1] : 'no code';
            throw new ObjectStorageError("$method $service: HTTP $status $code");
        }
        if ($body === '') {
            return null;
        }
        $answer = json_decode($body, true);
        if (!is_array($answer)) {
            throw new ObjectStorageError("$method $service: the answer is not JSON");
        }
        return $answer;
    }
}
