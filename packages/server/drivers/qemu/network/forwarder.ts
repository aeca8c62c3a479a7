// Ports of the host that lead into networks: one process for all, forwarder.pl, which outlives the server. Rules are kept as files and
// told to it again whenever it had to be started anew.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Forward } from '../../networks.ts'
import { listenFor } from '../process/listening.ts'
import type { Identity } from '../process/privileges.ts'
import { type RunningProgram, findPrograms, killAndWait } from '../process/process.ts'
import { problems } from '../problems.ts'
import { toolEnvironment } from '../process/tools.ts'
import { networkFolder } from './folder.ts'
import { insider, isOrdinary } from './keeper.ts'

const program = join(import.meta.dirname, 'forwarder.pl')
/** It enters namespaces, and becomes somebody else for each connection; more it cannot, although it is root's. */
const rights = [
  ...['--no-new-privs', '--inh-caps=-all'],
  ...(isOrdinary ? [] : ['--bounding-set=-all,+sys_admin,+setuid,+setgid']),
]
const answerLimitMs = 10_000
const endLimitMs = 5000

export class Forwarder {
  readonly #directory: string
  readonly #socket: string
  readonly #identity: Identity

  /** `identity`: who carries the bytes of a connection. */
  constructor(directory: string, identity: Identity) {
    this.#directory = directory
    this.#socket = join(directory, 'forwarder.sock')
    this.#identity = identity
  }

  /** Whether it runs; `rules` are those that it must have, should it have to be started. True: it was started just now. */
  async ensure(rules: readonly Forward[]): Promise<boolean> {
    if (await this.#answers()) return false
    await this.#start()
    for (const rule of rules) await this.add(rule).catch(() => {}) // a port that somebody took meanwhile stays his
    return true
  }

  async add({ address, port, network, to }: Forward): Promise<void> {
    const { namespaces } = networkFolder(this.#directory, network)
    const said = await this.#ask(['add', address, port, namespaces.join(), to.address, to.port])
    if (/^error EADDRINUSE/.test(said)) throw problems.portTaken(address, port)
    if (/^error/.test(said)) throw problems.portNotOurs(address, port, said.replace(/^error \w+: /, '').trim())
  }

  async remove(address: string, port: number): Promise<void> {
    await this.#ask(['remove', address, port])
  }

  /** "ADDRESS PORT" of each rule that works. */
  async list(): Promise<string[]> {
    const said = await this.#ask(['list'])
    return said.split('\n').flatMap(line => /^\S+ \d+(?= )/.exec(line) ?? [])
  }

  /** Ends it; what is established lives on. */
  async stop(): Promise<void> {
    if (!existsSync(this.#socket)) return // made before it was first started
    for (const each of await this.find()) await killAndWait(each, endLimitMs)
    await rm(this.#socket, { force: true })
  }

  find(): Promise<RunningProgram[]> {
    return findPrograms(args => args.includes(program) && args.includes(this.#mark))
  }

  get #mark(): string {
    return `for=${this.#directory}`
  }

  async #answers(): Promise<boolean> {
    return this.#ask(['list']).then(
      () => true,
      () => false,
    )
  }

  async #start(): Promise<void> {
    await this.stop() // one that does not answer still holds its ports
    const socket = await listenFor(this.#socket)
    const log = await open(join(this.#directory, 'forwarder.log'), 'w', 0o600)
    try {
      const { uid, gid } = isOrdinary ? insider : this.#identity
      const words = [...rights, '--', 'perl', program, `${uid}:${gid}`, this.#mark]
      const stdio = ['ignore', log.fd, log.fd, socket.fd] as const
      const child = spawn('setpriv', words, { env: toolEnvironment, cwd: '/', detached: true, stdio: [...stdio] })
      child.on('error', () => {}) // then nobody answers
      child.unref()
    } finally {
      socket.release()
      await log.close()
    }
  }

  #ask(words: readonly (string | number)[]): Promise<string> {
    return new Promise((resolve, reject) => {
      const fail = (cause?: unknown) => reject(problems.forwarderSilent(cause))
      const socket = connect(this.#socket)
      let said = ''
      socket.setEncoding('utf8').setTimeout(answerLimitMs, () => socket.destroy(new Error('no answer in time')))
      socket.once('error', fail)
      socket.on('data', (text: string) => (said += text))
      socket.once('close', () => (/(^|\n)(ok|error .*)\n$/.test(said) ? resolve(said) : fail()))
      socket.write(`${words.join(' ')}\n`)
    })
  }
}
