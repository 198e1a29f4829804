/**
 * telegram-test-api, mended where the Bot API says otherwise: updates stay until an offset confirms them, polls are
 * long, times are seconds, messages and people are complete, an unknown method is a 404 with words. Prints its port.
 */

import http from 'node:http'

import TelegramServer from 'telegram-test-api'

const BOT = { first_name: 'MindGLM', id: 4242, is_bot: true, username: 'MindglmForeignBot' }
const LOOK_MS = 50

class Mended extends TelegramServer {
  addBotMessage (message, token) {
    const added = super.addBotMessage(message, token)
    return { ...added, chat: { ...added.chat, id: Number(message.chat_id) }, date: Math.floor(added.date / 1000), from: BOT }
  }

  after (token, offset) {
    this.storage.userMessages = this.storage.userMessages.filter(({ updateId }) => updateId >= offset)
    return this.storage.userMessages.filter(({ botToken }) => botToken === token).map(complete)
  }
}

function complete (update) {
  const formed = TelegramServer.formatUpdate(update)
  return formed.callback_query ? { ...formed, callback_query: { chat_instance: '1', ...formed.callback_query } } : formed
}

const server = new Mended({ host: '127.0.0.1' })

const methods = {
  answerCallbackQuery: () => true,
  editMessageText (fields) {
    server.editMessageText(fields)
    return { chat: { id: Number(fields.chat_id), type: 'private' }, date: 1, from: BOT, message_id: Number(fields.message_id), text: fields.text }
  },
  getMe: () => BOT,
  async getUpdates ({ offset = 0, timeout = 0 }, token) {
    const until = Date.now() + timeout * 1000
    while (!server.after(token, offset).length && Date.now() < until) await new Promise(resolve => setTimeout(resolve, LOOK_MS))
    return server.after(token, offset)
  },
  getWebhookInfo: () => ({ has_custom_certificate: false, pending_update_count: server.storage.userMessages.length, url: '' }),
  sendChatAction: () => true,
  setMyCommands: () => true,
}

/** What is not mended is theirs. */
const front = http.createServer(async (request, response) => {
  const [, token, name] = /^\/bot([^/]+)\/(\w+)/.exec(request.url) ?? []
  const isTheirs = !name || ['sendMessage', 'deleteWebhook'].includes(name)
  if (isTheirs) return server.webServer(request, response)
  const fields = Object.fromEntries(new URLSearchParams(await body(request)))
  const result = await methods[name]?.(fields, token)
  const answer = result === undefined ? { description: 'Not Found', error_code: 404, ok: false } : { ok: true, result }
  response.writeHead(answer.ok ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
})

async function body (request) {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

front.listen(0, '127.0.0.1', () => console.log(front.address().port))
