/** Each delivery is sent once, however often the bot asks: it may have been killed before it heard the answer. */

const MAX_KEPT = 10_000

export class Sendings {
  #journal
  #running = new Map()
  #messageIds = new Map() // delivery id → the puppet's message id, or null where it told none
  #begun = new Set() // begun by a process that was killed meanwhile
  #entryCount = 0

  constructor (journal) {
    this.#journal = journal
    for (const { begun, done, failed, messageId } of journal.read()) {
      if (begun) this.#begun.add(begun)
      if (failed) this.#begun.delete(failed)
      if (done) {
        this.#begun.delete(done)
        this.#messageIds.set(done, messageId)
      }
    }
    this.#compact()
  }

  /** What `send` returned, now or when it was first asked for. A failed one may be tried again. */
  once (id, send) {
    if (this.#messageIds.has(id)) return Promise.resolve(this.#messageIds.get(id) ?? undefined)
    if (this.#begun.has(id)) return Promise.reject(new Error('fate unknown'))
    if (!this.#running.has(id)) {
      this.#running.set(id, this.#send(id, send).finally(() => this.#running.delete(id)))
    }
    return this.#running.get(id)
  }

  async #send (id, send) {
    this.#write({ begun: id })
    let messageId
    try {
      messageId = await send()
    } catch (error) {
      this.#write({ failed: id })
      throw error
    }
    this.#messageIds.set(id, messageId ?? null)
    this.#write({ done: id, messageId: messageId ?? null })
    return messageId
  }

  #write (entry) {
    this.#journal.append(entry)
    this.#entryCount += 1
    if (this.#entryCount > 4 * MAX_KEPT) this.#compact()
  }

  #compact () {
    for (const id of [...this.#messageIds.keys()].slice(0, -MAX_KEPT)) this.#messageIds.delete(id)
    this.#journal.rewrite([
      ...[...this.#begun, ...this.#running.keys()].map(begun => ({ begun })),
      ...[...this.#messageIds].map(([done, messageId]) => ({ done, messageId })),
    ])
    this.#entryCount = 0
  }
}
