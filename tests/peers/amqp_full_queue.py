"""Makes a queue that holds one message and refuses the next, or empties it.

Arguments: port, queue, `make` or `empty`.
"""

import sys

import pika


def main(port, queue, what):
    channel = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", int(port))).channel()
    if what == "make":
        channel.queue_declare(queue, durable=True, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    else:
        channel.queue_purge(queue)


main(*sys.argv[1:4])
