<?php
/** One object-storage management call from the command line; prints its answer as JSON. */

declare(strict_types=1);

require __DIR__ . '/ObjectStorage.php';

const USAGE = <<<'TEXT'
usage: php manage.php COMMAND [ARGUMENT…]
  users | query EMAIL | create EMAIL | delete EMAIL | enable EMAIL | disable EMAIL
  generate-key EMAIL | revoke-key EMAIL ACCESS-KEY
  limits user|bucket NAME | set-limit user|bucket NAME TYPE RESOURCE VALUE | delete-limits user|bucket NAME
  usage | usage OBJECT | delete-usage OBJECT

TEXT;

function run(ObjectStorage $storage, array $words): mixed
{
    $command = array_shift($words);
    $whom = fn () => match ($words[0]) {
        'user' => ['emailAddress' => $words[1]],
        'bucket' => ['bucket' => $words[1]],
        default => throw new InvalidArgumentException(USAGE),
    };
    return match ([$command, count($words)]) {
        ['users', 0] => $storage->listUsers(),
        ['query', 1] => $storage->queryUser($words[0]),
        ['create', 1] => $storage->createUser($words[0]),
        ['delete', 1] => $storage->deleteUser($words[0]),
        ['enable', 1] => $storage->enableUser($words[0]),
        ['disable', 1] => $storage->disableUser($words[0]),
        ['generate-key', 1] => $storage->generateKey($words[0]),
        ['revoke-key', 2] => $storage->revokeKey($words[0], $words[1]),
        ['limits', 2] => $storage->limits($whom()),
        ['set-limit', 5] => $storage->setLimit($whom(), $words[2], $words[3], (int) $words[4]),
        ['delete-limits', 2] => $storage->deleteLimits($whom()),
        ['usage', 0] => $storage->listUsage(),
        ['usage', 1] => $storage->usage($words[0]),
        ['delete-usage', 1] => $storage->deleteUsage($words[0]),
        default => throw new InvalidArgumentException(USAGE),
    };
}

$storage = new ObjectStorage(rtrim(getenv('COUNTERSIGN_ENDPOINT') ?: 'http://127.0.0.1:8480', '/'));
try {
    echo json_encode(run($storage, array_slice($argv, 1)), JSON_PRETTY_PRINT | JSON_UNESCAPED_SLASHES), "\n";
} catch (InvalidArgumentException $usage) {
    fwrite(STDERR, $usage->getMessage());
    exit(2);
} catch (ObjectStorageError $error) {
    fwrite(STDERR, $error->getMessage() . "\n");
    exit(1);
}
