import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { mkdtempSync, readFileSync, appendFileSync, truncateSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import { Accounts } from '../accounts.js'
import { durable } from '../durable.js'
import { Journal } from '../journal.js'
import { Sendings } from '../sendings.js'
import { Spool } from '../spool.js'

const TOKEN = 'a-token-of-the-tests'

class FakePuppet extends EventEmitter {
  isLoggedIn = true
  currentUserId = 'bot'
  accepted = []
  payloads = new Map()
  requests = new Map()
  sent = []
  stops = 0

  name () { return 'fake' }
  version () { return '1' }
  async stop () { this.stops += 1 }
  async messagePayload (id) {
    if (!this.payloads.has(id)) throw new Error('unknown message')
    return this.payloads.get(id)
  }

  async messageSendText (to, text, mentions) {
    this.sent.push({ mentions, text, to })
    return `sent-${this.sent.length}`
  }

  async friendshipPayload (id, payload) {
    if (payload) this.requests.set(id, payload)
    if (!this.requests.has(id)) throw new Error('unknown request')
    return this.requests.get(id)
  }

  async friendshipAccept (id) {
    this.accepted.push((await this.friendshipPayload(id)).contactId)
  }

  ask (id, fields = {}) {
    this.requests.set(id, { contactId: `contact of ${id}`, id, type: 2, ...fields })
    this.emit('friendship', { friendshipId: id })
  }

  hear (id, text, fields = {}) {
    this.payloads.set(id, { id, talkerId: 'wang', text, timestamp: Date.now(), ...fields })
    this.emit('message', { messageId: id })
  }
}

function open (directory, puppet = new FakePuppet(), options = {}) {
  const parts = {
    accounts: new Accounts(directory),
    requests: new Spool(Journal.open(directory, 'friend-requests', TOKEN)),
    sendings: new Sendings(Journal.open(directory, 'sendings', TOKEN)),
    spool: new Spool(Journal.open(directory, 'messages', TOKEN)),
  }
  return { ...parts, kept: durable(puppet, { ...parts, ...options }), puppet }
}

function listen (kept) {
  const heard = []
  const listener = ({ messageId }) => heard.push(messageId)
  kept.on('message', listener)
  return { heard, leave: () => kept.off('message', listener) }
}

const directory = () => mkdtempSync(join(tmpdir(), 'gateway-'))

test('what came while nobody listened is told first, in order, to whoever comes', async () => {
  const { kept, puppet } = open(directory())
  puppet.hear('1', 'one')
  puppet.hear('2', 'two')
  await sleep(20)
  const { heard } = listen(kept)
  puppet.hear('3', 'three')
  await sleep(20)
  assert.deepEqual(heard, ['1', '2', '3'])
})

test('what was not acknowledged is told again by the next process, with its payload', async () => {
  const place = directory()
  const first = open(place)
  first.puppet.hear('1', 'one')
  first.puppet.hear('2', 'two')
  await sleep(20)
  first.kept.ding('ack:1')
  const second = open(place) // its puppet knows nothing of those messages
  const { heard } = listen(second.kept)
  await sleep(20)
  assert.deepEqual(heard, ['2'])
  assert.equal((await second.kept.messagePayload('2')).text, 'two')
})

test('what is not acknowledged in time is repeated, and then no more', async () => {
  const { kept, puppet } = open(directory(), new FakePuppet(), { repeatAfterMs: 40 })
  const { heard } = listen(kept)
  await sleep(5)
  puppet.hear('1', 'one')
  await sleep(120)
  assert.ok(heard.length >= 2)
  kept.ding('ack:1')
  const count = heard.length
  await sleep(120)
  assert.equal(heard.length, count)
})

test('a friend request waits for whoever comes, over a restart, until it is settled, and can still be accepted', async () => {
  const place = directory()
  const first = open(place)
  first.puppet.ask('1')
  first.puppet.ask('2', { type: 1 }) // a yes to a request of ours
  await sleep(20)
  const second = open(place) // its puppet knows nothing of that request
  const asked = []
  second.kept.on('friendship', ({ friendshipId }) => asked.push(friendshipId))
  await sleep(20)
  assert.deepEqual(asked, ['1'])
  assert.equal((await second.kept.friendshipPayload('1')).contactId, 'contact of 1')
  await second.kept.friendshipAccept('1')
  assert.deepEqual(second.puppet.accepted, ['contact of 1'])
  second.kept.ding('friend:1')
  const third = open(place)
  third.kept.on('friendship', ({ friendshipId }) => asked.push(friendshipId))
  await sleep(20)
  assert.deepEqual(asked, ['1'])
})

test('own messages and those from before the first login are not told', async () => {
  const { kept, puppet } = open(directory())
  puppet.emit('login', { contactId: 'bot' })
  const { heard } = listen(kept)
  await sleep(5)
  puppet.hear('1', 'mine', { talkerId: 'bot' })
  puppet.hear('2', 'last year', { timestamp: Date.now() - 365 * 86_400_000 })
  puppet.hear('3', 'in seconds', { timestamp: Math.floor(Date.now() / 1000) })
  await sleep(20)
  assert.deepEqual(heard, ['3'])
})

test('after a later login nothing that was said meanwhile counts as past', async () => {
  const place = directory()
  open(place).puppet.emit('login', { contactId: 'bot' })
  const said = Date.now() + 10
  await sleep(20)
  const { kept, puppet } = open(place)
  puppet.emit('login', { contactId: 'bot' })
  const { heard } = listen(kept)
  puppet.hear('1', 'while you were away', { timestamp: said })
  await sleep(20)
  assert.deepEqual(heard, ['1'])
})

test('a delivery is sent once, however often it is asked for, also by the next process', async () => {
  const place = directory()
  const { kept, puppet } = open(place)
  const ask = gateway => gateway.messageSendText('wang', 'hello', ['li', 'delivery:7'])
  assert.deepEqual(await Promise.all([ask(kept), ask(kept)]), ['sent-1', 'sent-1'])
  const second = open(place)
  assert.equal(await ask(second.kept), 'sent-1')
  assert.deepEqual([...puppet.sent, ...second.puppet.sent], [{ mentions: ['li'], text: 'hello', to: 'wang' }])
})

test('a delivery that failed may be tried again', async () => {
  const { kept, puppet } = open(directory())
  const send = puppet.messageSendText
  puppet.messageSendText = async () => { throw new Error('not logged in') }
  await assert.rejects(kept.messageSendText('wang', 'hello', ['delivery:7']), /not logged in/)
  puppet.messageSendText = send
  assert.equal(await kept.messageSendText('wang', 'hello', ['delivery:7']), 'sent-1')
})

test('of a delivery during which the process died nobody knows', async () => {
  const place = directory()
  const { kept, puppet } = open(place)
  puppet.messageSendText = () => new Promise(() => {})
  kept.messageSendText('wang', 'hello', ['delivery:7'])
  await sleep(5)
  await assert.rejects(open(place).kept.messageSendText('wang', 'hello', ['delivery:7']), /fate unknown/)
})

test('a reader that stops us does not log the account out', async () => {
  const { kept, puppet } = open(directory())
  await kept.stop()
  assert.equal(puppet.stops, 0)
  assert.match(kept.version(), /^mindglm-gateway\//)
})

test('a probe comes back at once as an event', async () => {
  const { kept } = open(directory())
  const dongs = []
  kept.on('dong', ({ data }) => dongs.push(data))
  kept.ding('mindglm')
  assert.deepEqual(dongs, ['mindglm'])
})

test('nobody reads words in the files without the token', async () => {
  const place = directory()
  const { puppet } = open(place)
  puppet.hear('1', 'the far side of the moon')
  await sleep(20)
  const bytes = readFileSync(join(place, 'messages.journal'))
  assert.ok(bytes.length > 0)
  assert.ok(!bytes.includes('moon'))
  assert.throws(() => new Spool(Journal.open(place, 'messages', 'another-token-altogether')), { code: 'WRONG_TOKEN' })
})

test('an entry that a power loss cut off is left out', async () => {
  const place = directory()
  const { puppet } = open(place)
  puppet.hear('1', 'one')
  puppet.hear('2', 'two')
  await sleep(20)
  const file = join(place, 'messages.journal')
  truncateSync(file, statSync(file).size - 20)
  assert.deepEqual(open(place).spool.ids, ['1'])
})

test('an entry that was changed is not passed over', async () => {
  const place = directory()
  const { puppet } = open(place)
  puppet.hear('1', 'one')
  await sleep(20)
  const file = join(place, 'messages.journal')
  const line = readFileSync(file, 'latin1')
  truncateSync(file, 0)
  appendFileSync(file, `AAAA${line.slice(4)}${line}`)
  assert.throws(() => open(place), { code: 'WRONG_TOKEN' })
})

test('the files do not grow with what was acknowledged and sent', async () => {
  const place = directory()
  const { kept, puppet, spool } = open(place)
  for (let number = 0; number < 1500; number += 1) {
    spool.put({ id: String(number), text: 'x'.repeat(100) })
    kept.ding(`ack:${number}`)
  }
  assert.ok(statSync(join(place, 'messages.journal')).size < 400_000)
  assert.equal(puppet.sent.length, 0)
})
