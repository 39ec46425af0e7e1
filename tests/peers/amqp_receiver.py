"""Makes a durable queue, binds it to a topic exchange and prints what comes, a line of JSON each.

Arguments: port, exchange, key, queue. Ends with its standard input.
"""

import json
import os
import sys
import threading

import pika


def show(channel, method, properties, body):
    line = {
        "place": f"{method.exchange}/{method.routing_key}",
        "headers": {**(properties.headers or {}), "message-id": properties.message_id},
        "body": body.decode(),
        "persistent": properties.delivery_mode == 2,
    }
    print(json.dumps(line), flush=True)
    channel.basic_ack(method.delivery_tag)


def end_with_input():
    sys.stdin.read()
    os._exit(0)


def main(port, exchange, key, queue):
    threading.Thread(target=end_with_input, daemon=True).start()
    parameters = pika.ConnectionParameters("127.0.0.1", int(port))
    channel = pika.BlockingConnection(parameters).channel()
    channel.exchange_declare(exchange, exchange_type="topic", durable=True)
    channel.queue_declare(queue, durable=True)
    channel.queue_bind(queue, exchange, key)
    channel.basic_consume(queue, show)
    print("ready", flush=True)
    channel.start_consuming()


main(*sys.argv[1:5])
