/**
 * Stands before a puppet and keeps what passes. In: a message or a friend request is on disk before the reader of the
 * event stream hears of it, and is repeated until it is acknowledged. Out: each delivery is sent once. A reader that comes or goes does not
 * start or stop the account.
 */

import { readFileSync } from 'node:fs'

import { say } from './log.js'

const REPEAT_AFTER_MS = 60_000
const READ_WITHIN_MS = 15_000
const ACKNOWLEDGE = 'ack:'
const SETTLED = 'friend:'
const RECEIVED = 2 // types.Friendship.Receive: somebody asks to be a friend
const DELIVERY = 'delivery:'
const PROBE = 'mindglm'

const { version: VERSION } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))

/** @returns the puppet, with some of its doings replaced */
export function durable (puppet, { accounts, requests, sendings, spool, repeatAfterMs = REPEAT_AFTER_MS }) {
  const readers = new Readers(spool, repeatAfterMs, messageId => ({ messageId }))
  const hosts = new Readers(requests, repeatAfterMs, friendshipId => ({ friendshipId }))
  const kinds = { friendship: hosts, message: readers }
  let taken = Promise.resolve()

  puppet.on('login', ({ contactId }) => accounts.loggedIn(contactId))
  puppet.on('message', ({ messageId }) => {
    // one after the other: the order in which they came
    taken = taken.then(() => take(messageId)).catch(() => say('message_broke', { messageId }))
  })

  puppet.on('friendship', ({ friendshipId }) => {
    taken = taken.then(() => takeRequest(friendshipId)).catch(() => say('friend_request_broke', { friendshipId }))
  })

  async function takeRequest (id) {
    if (requests.has(id)) return
    const payload = await within(READ_WITHIN_MS, puppet.friendshipPayload(id))
    if (payload.type !== RECEIVED) return
    keep(requests, { ...payload, id })
    hosts.tell(id)
  }

  async function take (id) {
    if (spool.has(id)) return
    let payload
    try {
      payload = await within(READ_WITHIN_MS, puppet.messagePayload(id))
    } catch {
      say('message_unreadable', { messageId: id })
      return readers.tell(id) // the reader may have more luck
    }
    const self = puppet.isLoggedIn ? puppet.currentUserId : undefined
    if ((payload.talkerId ?? payload.fromId) === self || accounts.isPast(self, payload.timestamp)) return
    keep(spool, payload)
    readers.tell(id)
  }

  function keep (place, payload) {
    try {
      place.put(payload)
    } catch (error) {
      say('spool_cannot_be_written', { code: error.code }) // better told once than never
    }
  }

  const doings = {
    ding (data = '') {
      if (data.startsWith(ACKNOWLEDGE)) return spool.acknowledge(data.slice(ACKNOWLEDGE.length))
      if (data.startsWith(SETTLED)) return requests.acknowledge(data.slice(SETTLED.length))
      if (data === PROBE) return puppet.emit('dong', { data })
      return puppet.ding(data)
    },
    async friendshipAccept (id) {
      if (requests.has(id)) await puppet.friendshipPayload(id, requests.get(id)) // a puppet that was started anew forgot it
      return puppet.friendshipAccept(id)
    },
    async friendshipPayload (id) {
      return requests.get(id) ?? puppet.friendshipPayload(id)
    },
    async messagePayload (id) {
      return spool.get(id) ?? puppet.messagePayload(id)
    },
    messageSendText (conversationId, text, mentions = []) {
      const people = mentions.filter(mention => !mention.startsWith(DELIVERY))
      const delivery = mentions.find(mention => mention.startsWith(DELIVERY))
      const send = async () => puppet.messageSendText(conversationId, text, people.length ? people : undefined)
      return delivery ? sendings.once(delivery, send) : send()
    },
    off (event, listener) {
      if (event in kinds) kinds[event].remove(listener)
      else puppet.off(event, listener)
    },
    on (event, listener) {
      if (event in kinds) kinds[event].add(listener)
      else puppet.on(event, listener)
    },
    async stop () {},
    version: () => `mindglm-gateway/${VERSION} ${puppet.name()} ${puppet.version()}`,
  }

  return new Proxy(puppet, {
    get (target, property) {
      if (Object.hasOwn(doings, property)) return doings[property]
      const value = Reflect.get(target, property, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

async function within (milliseconds, promise) {
  let timer
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error('too late')), milliseconds)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Who listens for one kind of event: nobody, or the one event stream. */
class Readers {
  #listeners = new Set()
  #spool
  #toldAt = new Map()
  #payload

  constructor (spool, repeatAfterMs, payload) {
    this.#spool = spool
    this.#payload = payload
    setInterval(() => this.#repeat(repeatAfterMs), repeatAfterMs / 4).unref()
  }

  /** Whatever waits is told first, and what comes meanwhile waits behind it. */
  add (listener) {
    setImmediate(() => {
      this.#listeners.add(listener)
      for (const id of this.#spool.ids) this.tell(id)
    })
  }

  remove (listener) {
    this.#listeners.delete(listener)
  }

  tell (id) {
    if (!this.#listeners.size) return
    this.#toldAt.set(id, Date.now())
    for (const listener of this.#listeners) listener(this.#payload(id))
  }

  #repeat (afterMs) {
    for (const id of this.#toldAt.keys()) if (!this.#spool.has(id)) this.#toldAt.delete(id)
    for (const [id, at] of this.#toldAt) if (Date.now() - at > afterMs) this.tell(id)
  }
}
