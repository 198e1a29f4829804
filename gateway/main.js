/**
 * Serves a WeChat account to `mindglm wechat`: any Wechaty puppet, by name, behind Wechaty's own PuppetServer, with a
 * spool on disk in between. The link is clear text; it is meant for one host or the inside of a tunnel.
 */

import { mkdirSync, readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'

import { Accounts } from './accounts.js'
import { durable } from './durable.js'
import { Journal } from './journal.js'
import { say } from './log.js'
import { Sendings } from './sendings.js'
import { Spool } from './spool.js'

const USAGE = `usage: MINDGLM_WECHAT_TOKEN=... node main.js [options]

  --puppet NAME    package or file of the puppet (WECHATY_PUPPET)
  --listen ADDR    host:port for the bot, default 127.0.0.1:8788 (MINDGLM_GATEWAY_LISTEN)
  --spool DIR      where messages wait until they are acknowledged, default ./spool (MINDGLM_GATEWAY_SPOOL)

The token comes from the environment only, at least 16 characters, or from a file that MINDGLM_WECHAT_TOKEN_FILE names;
it also seals the spool.
MINDGLM_GATEWAY_DEBUG=1 lets Wechaty log, and with it what people say.
Example: MINDGLM_WECHAT_TOKEN=$(openssl rand -hex 16) node main.js --puppet wechaty-puppet-wechat4u`

const EX_CONFIG = 78
const MIN_TOKEN_LENGTH = 16
const PUPPET_ERROR_EVERY_MS = 60_000

async function main () {
  const { puppet: name, listen, spool: directory, token } = settings()
  // Wechaty reads this while it is imported
  process.env.WECHATY_LOG = process.env.MINDGLM_GATEWAY_DEBUG ? 'verbose' : 'silent'
  const { PuppetServer } = await import('wechaty-puppet-service')

  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const journal = file => Journal.open(directory, file, token)
  const puppet = await load(name)
  tell(puppet)
  const kept = durable(puppet, {
    accounts: new Accounts(directory),
    requests: new Spool(journal('friend-requests')),
    sendings: new Sendings(journal('sendings')),
    spool: new Spool(journal('messages')),
  })
  const server = new PuppetServer({ endpoint: listen, puppet: kept, tls: { disable: true }, token })
  await server.start()
  say('listening', { listen, puppet: name })
  await puppet.start()

  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, async () => {
      await server.stop()
      process.exit(0)
    })
  }
}

function settings () {
  const { values } = parseArgs({
    options: {
      help: { short: 'h', type: 'boolean' },
      listen: { default: process.env.MINDGLM_GATEWAY_LISTEN ?? '127.0.0.1:8788', type: 'string' },
      puppet: { default: process.env.WECHATY_PUPPET, type: 'string' },
      spool: { default: process.env.MINDGLM_GATEWAY_SPOOL ?? 'spool', type: 'string' },
    },
  })
  if (values.help) {
    console.log(USAGE)
    process.exit(0)
  }
  const token = readToken()
  if (!values.puppet || token.length < MIN_TOKEN_LENGTH) {
    console.error(USAGE)
    process.exit(EX_CONFIG)
  }
  return { ...values, token }
}

function readToken () {
  const file = process.env.MINDGLM_WECHAT_TOKEN_FILE
  if (!file) return process.env.MINDGLM_WECHAT_TOKEN ?? ''
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    console.error(`MINDGLM_WECHAT_TOKEN_FILE cannot be read: ${error.code}: ${file}`)
    process.exit(EX_CONFIG)
  }
}

/** A puppet package exports its class as default, or by a name that begins with Puppet. */
async function load (name) {
  const module = await import(/^[./]/.test(name) ? pathToFileURL(name).href : name)
  const named = Object.entries(module).find(([key, value]) => /^Puppet[A-Z]/.test(key) && typeof value === 'function')
  const Puppet = module.default?.default ?? module.default ?? named?.[1]
  return new Puppet(JSON.parse(process.env.WECHATY_PUPPET_OPTIONS ?? '{}'))
}

/** What the operator must know; never what people say. */
function tell (puppet) {
  puppet.on('scan', ({ qrcode, status }) => say('scan', { hint: 'show this as a QR code and scan it', qrcode, status }))
  puppet.on('login', ({ contactId }) => say('login', { account: contactId }))
  puppet.on('logout', ({ contactId }) => say('logout', { account: contactId }))
  let saidAt = 0
  puppet.on('error', () => {
    if (Date.now() - saidAt < PUPPET_ERROR_EVERY_MS) return
    saidAt = Date.now()
    say('puppet_error', { hint: 'MINDGLM_GATEWAY_DEBUG=1 shows what the puppet says' })
  })
}

/** A puppet that breaks takes the process with it; whoever supervises it starts a new one. Its words stay out of the log. */
function crash (error) {
  say('crashed', { code: error?.code, name: error?.name })
  if (process.env.MINDGLM_GATEWAY_DEBUG) console.error(error)
  process.exit(1)
}

process.on('uncaughtException', crash)
process.on('unhandledRejection', crash)
process.noDeprecation = true // of the libraries, which nobody maintains

main().catch(error => {
  say('cannot_run', { reason: error.message })
  process.exit(error.code === 'WRONG_TOKEN' ? EX_CONFIG : 1)
})
