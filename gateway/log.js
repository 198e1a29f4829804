/** One line of JSON an event on stderr: a constant name and ids, never what anyone said. */
export function say (event, fields = {}) {
  process.stderr.write(`${JSON.stringify({ event, ...fields, timestamp: new Date().toISOString() })}\n`)
}
