"""Verifies what is on standard input with the Standard Webhooks library for Python.

In: [{"secret", "headers": {…}, "body"}, …] as JSON. Out: a list with null for what is believed, and why not for the others.
"""
import json
import sys

from standardwebhooks import Webhook, WebhookVerificationError


def refused(case):
    try:
        Webhook(case["secret"]).verify(case["body"], case["headers"])
    except WebhookVerificationError as error:
        return str(error)
    return None


print(json.dumps([refused(case) for case in json.load(sys.stdin)]))
