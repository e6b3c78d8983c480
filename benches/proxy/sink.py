"""A program that takes uploads and throws them away: `python3 sink.py PORT`, on loopback.

The bytes of a body are dropped in the kernel and never copied, so that this is not what an upload waits for. It reads
bodies with a length, which is what every proxy sends here.
"""

import re
import socket
import sys
import threading

BLOCK = 1 << 20
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: \"9a0364b9e99bb480dd25e1f0284c8555\"\r\n\r\n"


def serve(connection):
    """Answers the requests of one connection."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    unused, head = bytearray(BLOCK), b""
    with connection:
        while True:
            while b"\r\n\r\n" not in head:
                more = connection.recv(65536)
                if not more:
                    return
                head += more
            head, _, body = head.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            if length is None:
                connection.sendall(b"HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            if re.search(rb"(?i)\r\nexpect: *100-continue", head):
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            left = int(length[1]) - len(body)
            while left > 0:
                dropped = connection.recv_into(unused, min(left, BLOCK), socket.MSG_TRUNC)
                if not dropped:
                    return
                left -= dropped
            head = body[left:] if left < 0 else b""
            connection.sendall(ANSWER)


def quietly(connection):
    """A connection that breaks is the proxy's business, which the load generator sees."""
    try:
        serve(connection)
    except OSError:
        pass


def main():
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=quietly, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
