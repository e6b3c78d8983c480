"""The proxies beside which countersign is measured: nginx and haproxy as a careful user would set them up.

They sign nothing, identify nobody, decide nothing and write nothing down. Both keep connections on both sides.
"""

from backend import nginx as start_nginx
from stage import LOOPBACK, free_port, program

NGINX = """
    upstream store {{
        server {address}:{upstream}; keepalive 512; keepalive_requests 1000000000; keepalive_timeout 600s;
    }}
    server {{
        listen {address}:{port} backlog=4096{reuse};
        location / {{
            proxy_pass {scheme}://store; proxy_http_version 1.1;
            proxy_set_header Connection ''; proxy_set_header Host $http_host;
            proxy_request_buffering off; proxy_buffering on; proxy_max_temp_file_size 0;
            {tls}
        }}
    }}"""

NGINX_TLS = """proxy_ssl_verify on; proxy_ssl_trusted_certificate {authority}; proxy_ssl_name {name};
            proxy_ssl_server_name on; proxy_ssl_session_reuse on; proxy_ssl_protocols TLSv1.2 TLSv1.3;"""

HAPROXY = """global
    nbthread {threads}
    maxconn {connections}
    no strict-limits
defaults
    mode http
    {splice}
    timeout client 600s
    timeout server 60s
    timeout connect 5s
    http-reuse always
frontend callers
    bind {address}:{port} backlog 4096
    default_backend store
backend store
    server store {address}:{upstream} pool-max-conn 512 {tls}
"""

HAPROXY_TLS = "ssl verify required ca-file {authority} sni str({name}) verifyhost {name}"


def nginx(stage, upstream, workers=1, authority=None, connections=4096):
    """`proxy_pass`, with TLS to the upstream when there is an authority to trust."""
    port = free_port()
    server = NGINX.format(
        address=LOOPBACK,
        port=port,
        upstream=upstream,
        reuse=" reuseport" if workers > 1 else "",
        scheme="https" if authority else "http",
        tls=NGINX_TLS.format(authority=authority.path, name=authority.name) if authority else "",
    )
    return start_nginx(stage, f"nginx{workers}", port, server, workers, connections)


def haproxy(stage, upstream, threads=1, authority=None, splice=False, connections=4096):
    """A frontend and a backend, with TLS to the upstream when there is an authority to trust."""
    port = free_port()
    text = HAPROXY.format(
        address=LOOPBACK,
        port=port,
        upstream=upstream,
        threads=threads,
        connections=connections,
        splice="option splice-request\n    option splice-response" if splice else "",
        tls=HAPROXY_TLS.format(authority=authority.path, name=authority.name) if authority else "",
    )
    path = stage.write(f"haproxy-{port}.cfg", text)
    return stage.start(f"haproxy{threads}", [program("haproxy"), "-db", "-f", path], port)

