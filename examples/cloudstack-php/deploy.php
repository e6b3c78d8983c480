<?php
/**
 * Deploys one machine on CloudStack, opens its network and forwards SSH to it.
 *
 * Every call is a POST with all parameters in the query string and an empty body, as many old scripts do it.
 * It holds no key and signs nothing: countersign does.
 */

declare(strict_types=1);

final class CloudStackError extends RuntimeException
{
}

final class CloudStack
{
    public function __construct(
        private string $endpoint,
        private int $pollTries,
        private float $pollSeconds,
    ) {
    }

    /** Calls a command and returns what stands inside its `<command>response`. */
    public function call(string $command, array $parameters = []): array
    {
        $query = http_build_query(['command' => $command, 'response' => 'json'] + $parameters, '', '&');
        $curl = curl_init($this->endpoint . '/client/api?' . $query);
        curl_setopt_array($curl, [
            CURLOPT_POST => true,
            CURLOPT_POSTFIELDS => '',
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_CONNECTTIMEOUT => 10,
            CURLOPT_TIMEOUT => 90,
        ]);
        $body = curl_exec($curl);
        if ($body === false) {
            throw new CloudStackError("$command: " . curl_error($curl));
        }
        $status = curl_getinfo($curl, CURLINFO_RESPONSE_CODE);
        $answer = json_decode($body, true);
        if (!is_array($answer)) {
            throw new CloudStackError("$command: HTTP $status, and the body is not JSON");
        }
        $this->refuseErrors($command, $answer);
        if ($status !== 200) {
            throw new CloudStackError("$command: HTTP $status");
        }
        $inner = reset($answer);
        return is_array($inner) ? $inner : [];
    }

    /** Polls a job until it is done; a job that fails or never ends is an error. */
    public function finish(string $what, string $job): array
    {
        for ($try = 0; $try < $this->pollTries; $try++) {
            $state = $this->call('queryAsyncJobResult', ['jobid' => $job]);
            switch ((int) $state['jobstatus']) {
                case 1:
                    return $state['jobresult'] ?? [];
                case 2:
                    $text = $state['jobresult']['errortext'] ?? 'no reason given';
                    throw new CloudStackError("$what failed ({$state['jobresultcode']}): $text");
            }
            usleep((int) ($this->pollSeconds * 1e6));
        }
        throw new CloudStackError("$what: job $job is still running after {$this->pollTries} polls");
    }

    /** An error is an object with `errorcode` and `errortext`, at the top or one level down. */
    private function refuseErrors(string $command, array $answer): void
    {
        foreach ([$answer, ...array_filter(array_values($answer), 'is_array')] as $object) {
            if (isset($object['errorcode'])) {
                throw new CloudStackError("$command: error {$object['errorcode']}: " . ($object['errortext'] ?? ''));
            }
        }
    }
}

/** The first element of a list in an answer, or an error that says what was missing. */
function first(array $answer, string $list, string $what): array
{
    if (!isset($answer[$list][0])) {
        throw new CloudStackError("there is no $what");
    }
    return $answer[$list][0];
}

function deploy(CloudStack $cloud, array $options): void
{
    $network = first($cloud->call('listNetworks', ['id' => $options['network']]), 'network', 'such network');
    echo "network {$network['id']} is in zone {$network['zoneid']}\n";
    $address = first(
        $cloud->call('listPublicIpAddresses', ['associatednetworkid' => $network['id']]),
        'publicipaddress',
        'public address on this network'
    );
    echo "public address {$address['ipaddress']}\n";

    $machine = $cloud->call('deployVirtualMachine', [
        'zoneid' => $network['zoneid'],
        'serviceofferingid' => $options['offering'],
        'templateid' => $options['template'],
        'networkids' => $network['id'],
        'name' => $options['name'],
        'displayname' => $options['display'] ?? $options['name'],
    ]);
    $cloud->finish('deployVirtualMachine', $machine['jobid']);
    echo "machine {$machine['id']} is up\n";

    $jobs = [];
    $outbound = [
        'ICMP' => ['protocol' => 'ICMP', 'icmptype' => 8, 'icmpcode' => 0],
        'HTTP' => ['protocol' => 'TCP', 'startport' => 80, 'endport' => 80],
        'HTTPS' => ['protocol' => 'TCP', 'startport' => 443, 'endport' => 443],
        'DNS' => ['protocol' => 'UDP', 'startport' => 53, 'endport' => 53],
    ];
    foreach ($outbound as $name => $rule) {
        $rule += ['networkid' => $network['id'], 'cidrlist' => '0.0.0.0/0'];
        $jobs["egress $name"] = $cloud->call('createEgressFirewallRule', $rule)['jobid'];
    }
    $jobs['firewall rule'] = $cloud->call('createFirewallRule', [
        'ipaddressid' => $address['id'],
        'protocol' => 'TCP',
        'cidrlist' => '0.0.0.0/0',
        'startport' => 2222,
        'endport' => 2222,
    ])['jobid'];
    $jobs['port forwarding'] = $cloud->call('createPortForwardingRule', [
        'ipaddressid' => $address['id'],
        'virtualmachineid' => $machine['id'],
        'protocol' => 'TCP',
        'publicport' => 2222,
        'privateport' => 22,
    ])['jobid'];
    foreach ($jobs as $what => $job) {
        $cloud->finish($what, $job);
        echo "$what is in place\n";
    }
    echo "done: ssh -p 2222 {$address['ipaddress']}\n";
}

$options = getopt('', ['network:', 'offering:', 'template:', 'name:', 'display:']);
foreach (['network', 'offering', 'template', 'name'] as $needed) {
    if (!isset($options[$needed])) {
        fwrite(STDERR, "usage: php deploy.php --network=UUID --offering=UUID --template=UUID --name=NAME [--display=TEXT]\n");
        exit(2);
    }
}
$cloud = new CloudStack(
    rtrim(getenv('COUNTERSIGN_ENDPOINT') ?: 'http://127.0.0.1:8480', '/'),
    (int) (getenv('POLL_TRIES') ?: 60),
    (float) (getenv('POLL_SECONDS') ?: 5),
);
try {
    deploy($cloud, $options);
} catch (CloudStackError $error) {
    fwrite(STDERR, $error->getMessage() . "\n");
    exit(1);
}
