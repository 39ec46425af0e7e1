// Verifies what is on standard input with the Standard Webhooks library for JavaScript.
//
// In: [{"secret", "headers": {…}, "body"}, …] as JSON. Out: a list with null for what is believed, and why not for the others.
import { readFileSync } from 'node:fs';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';

function refused({ secret, headers, body }) {
  try {
    new Webhook(secret).verify(body, headers);
  } catch (error) {
    if (error instanceof WebhookVerificationError) return error.message;
    throw error;
  }
  return null;
}

console.log(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map(refused)));
