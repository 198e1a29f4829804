/**
 * An append-only file of sealed entries. What was appended survives a kill of the process, and with `sync` the loss of
 * the machine's power. Entries are sealed with AES-256-GCM by a key that is made from the token.
 */

import { createCipheriv, createDecipheriv, randomBytes, scryptSync } from 'node:crypto'
import { closeSync, existsSync, fdatasyncSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const IV_BYTES = 12
const TAG_BYTES = 16

export class WrongToken extends Error {
  constructor (file) {
    super(`${file} was written with another token: start with that one, or move the file away`)
    this.code = 'WRONG_TOKEN'
  }
}

export class Journal {
  #file
  #key
  #descriptor

  /** @param {string} directory @param {string} name @param {string} token */
  static open (directory, name, token) {
    return new Journal(join(directory, `${name}.journal`), keyOf(directory, token))
  }

  constructor (file, key) {
    this.#file = file
    this.#key = key
    this.#descriptor = openSync(file, 'a', 0o600)
  }

  /** All entries, oldest first; without the last one if a power loss cut it off. */
  read () {
    const lines = readFileSync(this.#file, 'latin1').split('\n')
    lines.pop() // what stands behind the last line end: nothing, or a part of an entry
    try {
      return lines.map(line => this.#open(line))
    } catch {
      throw new WrongToken(this.#file)
    }
  }

  append (entry, { sync = false } = {}) {
    writeSync(this.#descriptor, `${this.#seal(entry)}\n`)
    if (sync) fdatasyncSync(this.#descriptor)
  }

  /** Replace everything by these entries, whole or not at all. */
  rewrite (entries) {
    const draft = `${this.#file}.draft`
    writeFileSync(draft, entries.map(entry => `${this.#seal(entry)}\n`).join(''), { flush: true, mode: 0o600 })
    renameSync(draft, this.#file)
    closeSync(this.#descriptor)
    this.#descriptor = openSync(this.#file, 'a', 0o600)
  }

  #seal (entry) {
    const iv = randomBytes(IV_BYTES)
    const cipher = createCipheriv('aes-256-gcm', this.#key, iv)
    const sealed = Buffer.concat([cipher.update(JSON.stringify(entry), 'utf8'), cipher.final()])
    return Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64')
  }

  #open (line) {
    const bytes = Buffer.from(line, 'base64')
    const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, IV_BYTES))
    decipher.setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES))
    const opened = Buffer.concat([decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES)), decipher.final()])
    return JSON.parse(opened.toString('utf8'))
  }
}

function keyOf (directory, token) {
  const file = join(directory, 'salt')
  if (!existsSync(file)) writeFileSync(file, randomBytes(16), { flag: 'wx', mode: 0o600 })
  return scryptSync(token, readFileSync(file), 32)
}
