/** Messages, or friend requests, that nobody has acknowledged yet, in the order in which they came, on disk before anyone hears of them. */

const MAX_STALE_ENTRIES = 1000

export class Spool {
  #journal
  #payloads = new Map()
  #staleCount = 0

  constructor (journal) {
    this.#journal = journal
    for (const { ack, put } of journal.read()) {
      if (put) this.#payloads.set(put.id, put)
      if (ack) this.#payloads.delete(ack)
    }
    this.#compact()
  }

  /** The ids, oldest first. */
  get ids () {
    return [...this.#payloads.keys()]
  }

  has (id) {
    return this.#payloads.has(id)
  }

  /** The message as the puppet gave it. */
  get (id) {
    return this.#payloads.get(id)
  }

  /** Safe on disk when this returns. */
  put (payload) {
    this.#journal.append({ put: payload }, { sync: true })
    this.#payloads.set(payload.id, payload)
  }

  /** An acknowledgement that a power loss takes back costs one repetition. */
  acknowledge (id) {
    if (!this.#payloads.delete(id)) return
    this.#journal.append({ ack: id })
    this.#staleCount += 2
    if (this.#staleCount > MAX_STALE_ENTRIES && this.#staleCount > this.#payloads.size) this.#compact()
  }

  #compact () {
    this.#journal.rewrite([...this.#payloads.values()].map(put => ({ put })))
    this.#staleCount = 0
  }
}
