/**
 * A WeChat to rehearse with: wechaty-puppet-mock, logged in as soon as it starts, told over HTTP on loopback what people
 * say. `node main.js --puppet ./rehearsal.js`
 *
 *   POST /say {from, text, room?, mention?}   somebody writes
 *   POST /befriend {from}                     somebody asks to be a friend; what they see of a yes is the text "accepted"
 *   GET  /sent                                what the bot said: [{to, text}], kept in REHEARSAL_SENT over restarts
 *
 * REHEARSAL_DIES_AT=words kills the process right after it has sent exactly these.
 */

import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import http from 'node:http'

import { mock, PuppetMock } from 'wechaty-puppet-mock'

const CONTROL_PORT = Number(process.env.REHEARSAL_PORT ?? 8789)
const REQUEST = 'request of '
const SENT = process.env.REHEARSAL_SENT ?? 'rehearsal-sent.jsonl'

export default class Rehearsal extends PuppetMock {
  #people = new Map()
  #rooms = new Map()

  constructor () {
    super({ mocker: new mock.Mocker() })
    this.bot = this.#person('bot')
    this.mocker.use(() => {
      if (!this.isLoggedIn) this.mocker.login(this.bot)
      return () => {}
    })
    http.createServer((request, response) => this.#control(request, response)).listen(CONTROL_PORT, '127.0.0.1')
  }

  async messageSendText (conversationId, text) {
    if (conversationId.includes('@')) note({ text, to: conversationId })
    else this.#person(conversationId) // the mock forgets its people when the process ends
    await super.messageSendText(conversationId, text)
    if (text === process.env.REHEARSAL_DIES_AT) process.kill(process.pid, 'SIGKILL')
  }

  async friendshipRawPayload (id) {
    const contactId = id.slice(REQUEST.length)
    return { contactId, hello: '', id, stranger: '', ticket: '', timestamp: Date.now(), type: 2 }
  }

  async friendshipRawPayloadParser (payload) {
    return payload
  }

  async friendshipAccept (id) {
    note({ text: 'accepted', to: id.slice(REQUEST.length) })
  }

  async contactRawPayload (id) {
    return this.#person(id).payload
  }

  #person (id) {
    if (!this.#people.has(id)) {
      const person = this.mocker.createContact({ id, name: `name of ${id}`, type: 1 })
      person.on('message', message => {
        if (message.talker() === this.bot && message.listener() === person) note({ text: message.text(), to: id })
      })
      this.#people.set(id, person)
    }
    return this.#people.get(id)
  }

  #room (id, member) {
    if (!this.#rooms.has(id)) {
      this.#rooms.set(id, this.mocker.createRoom({ id, memberIdList: ['bot', member] }))
    }
    return this.#rooms.get(id)
  }

  async #control (request, response) {
    if (request.method === 'POST' && request.url === '/say') {
      const { from, mention, room, text } = JSON.parse(await body(request))
      const talker = this.#person(from)
      talker.say(text, mention ? [this.bot] : []).to(room ? this.#room(room, from) : this.bot)
      return response.end('{}')
    }
    if (request.method === 'POST' && request.url === '/befriend') {
      this.emit('friendship', { friendshipId: REQUEST + JSON.parse(await body(request)).from })
      return response.end('{}')
    }
    if (request.url === '/sent') return response.end(existsSync(SENT) ? readFileSync(SENT) : '')
    response.statusCode = 404
    response.end()
  }
}

function note (sent) {
  appendFileSync(SENT, `${JSON.stringify(sent)}\n`)
}

async function body (request) {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}
