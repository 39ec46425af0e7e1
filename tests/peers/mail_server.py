"""A real SMTP server (aiosmtpd) that writes down what it takes, one line of JSON a letter, as Python's own `email` reads it.

Whom it knows: everybody but `gone@…` (550), and `later@…` only at the second time (451 before). Says `listening PORT` once it
does. With `--certificate` and `--key` it encrypts: from the first byte, or with `--starttls` after that command; then it wants the
account `desk`, whose password is `p@ss:word`.
"""

import argparse
import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword


def say(line):
    print(line, flush=True)


class Postmaster:
    def __init__(self):
        self.seen = set()

    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.split("@")[0]
        if name == "gone":
            return f"550 5.1.1 <{address}>: no such mailbox"
        if name == "later" and address not in self.seen:
            self.seen.add(address)
            return "451 4.7.1 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        letter = email.message_from_bytes(envelope.content, policy=email.policy.default)
        part = lambda kind: letter.get_body(preferencelist=(kind,)).get_content()
        say("letter " + json.dumps({
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "headers": {name.lower(): str(value) for name, value in letter.items()},
            "defects": [str(defect) for found in letter.walk() for defect in found.defects],
            "type": letter.get_content_type(),
            "plain": part("plain"),
            "html": part("html"),
            "encrypted": server.transport.get_extra_info("ssl_object") is not None,
            "authenticated": bool(session.authenticated),
        }))
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    is_known = isinstance(data, LoginPassword) and data.login == b"desk" and data.password == b"p@ss:word"
    # Unhandled, the server says 535 by itself.
    return AuthResult(success=is_known, handled=False)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--starttls", action="store_true")
    arguments = parser.parse_args()
    settings = {}
    if arguments.certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(arguments.certificate, arguments.key)
        settings = {"authenticator": authenticate, "auth_required": True}
        if arguments.starttls:
            settings |= {"tls_context": context, "require_starttls": True}
        else:
            settings |= {"ssl_context": context, "auth_require_tls": False}
    # The port is free when asked for, and nearly always a moment later.
    controller = Controller(Postmaster(), hostname="127.0.0.1", port=free_port(), **settings)
    controller.start()
    say(f"listening {controller.port}")
    # Ends with whoever started it.
    sys.stdin.read()
    controller.stop()


def free_port():
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


main()
