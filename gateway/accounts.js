/** Since when each account is served here; what is older belongs to its past, which puppets show after a login. */

import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const GRACE_MS = 60_000 // WeChat's clock is not ours, and often has whole seconds only
const LARGEST_IN_SECONDS = 100_000_000_000

export class Accounts {
  #file
  #since

  constructor (directory) {
    this.#file = join(directory, 'accounts.json')
    try {
      this.#since = JSON.parse(readFileSync(this.#file, 'utf8'))
    } catch {
      this.#since = {}
    }
  }

  loggedIn (id) {
    if (this.#since[id]) return
    this.#since[id] = Date.now() - GRACE_MS
    writeFileSync(`${this.#file}.draft`, JSON.stringify(this.#since), { mode: 0o600 })
    renameSync(`${this.#file}.draft`, this.#file)
  }

  /** Whether a message of that time (milliseconds, or seconds, as the puppet gives it) came before the first login. */
  isPast (id, timestamp) {
    const at = timestamp < LARGEST_IN_SECONDS ? timestamp * 1000 : timestamp
    return Boolean(timestamp) && at < (this.#since[id] ?? 0)
  }
}
