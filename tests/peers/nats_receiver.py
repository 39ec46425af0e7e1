"""Makes a stream of JetStream for a subject and prints what is in it and what comes, a line of JSON each.

Arguments: port, stream, subject and, where the server is encrypted, the file of its certificate. Ends with its standard input.
"""

import asyncio
import json
import ssl
import sys

import nats


async def show(message):
    line = {
        "place": message.subject,
        "headers": dict(message.headers or {}),
        "body": message.data.decode(),
        "sequence": message.metadata.sequence.stream,
    }
    print(json.dumps(line), flush=True)
    await message.ack()


async def main(port, stream, subject, certificate=None):
    tls = ssl.create_default_context(cafile=certificate) if certificate else None
    connection = await nats.connect(f"{'tls' if tls else 'nats'}://127.0.0.1:{port}", tls=tls)
    jetstream = connection.jetstream()
    await jetstream.add_stream(name=stream, subjects=[subject])
    await jetstream.subscribe(subject, stream=stream, cb=show)
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main(*sys.argv[1:5]))
