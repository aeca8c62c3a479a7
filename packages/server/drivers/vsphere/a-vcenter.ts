// A vCenter for tests: the simulator of test/vcenter/, built with Go when its sources have changed, and ended with the test.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { request } from 'node:https'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const sources = join(import.meta.dirname, '../../../../test/vcenter')
const cache = join(process.env['RAMET_CACHE'] ?? join(homedir(), '.cache', 'ramet'), 'vcenter')

export interface Trouble {
  readonly method: string
  readonly act: 'fault' | 'cut-before' | 'cut-after' | 'answer'
  readonly fault?: string
  readonly fields?: object
  readonly contentType?: string
  readonly body?: Uint8Array
}

export interface TestVcenter {
  readonly url: string
  readonly username: string
  readonly password: string
  readonly trust: { readonly thumbprint: string }
  /** What shall happen to the next call of a method. */
  trouble(one: Trouble): Promise<void>
  endSessions(): Promise<void>
  /** How often each method was called. */
  calls(): Promise<Readonly<Record<string, number>>>
  /** Bytes that its model of disks has copied. */
  copied(): Promise<number>
  /** What was sent to the method last. */
  last(method: string): Promise<string>
  /** Ends it and starts another with the same address and certificate, and a new inventory. */
  restart(...options: string[]): Promise<void>
  stop(): Promise<void>
}

/** Why there can be no vCenter here, for `skip`; false where there can. */
export function noVcenter(): string | false {
  try {
    vcenterProgram()
    return false
  } catch (error) {
    if (error instanceof NoGo) return error.message
    throw error
  }
}

class NoGo extends Error {}

/** The program, from the cache or built: the first build takes half a minute of a processor. */
export function vcenterProgram(): string {
  const names = readdirSync(sources).filter(name => /\.go$|^go\.(mod|sum)$/.test(name))
  const hash = createHash('sha256')
  for (const name of names.toSorted()) hash.update(name).update(readFileSync(join(sources, name)))
  const program = join(cache, `vcenter-${hash.digest('hex').slice(0, 16)}`)
  if (existsSync(program)) return program
  mkdirSync(cache, { recursive: true })
  const version = go('env', 'GOVERSION')
  if (version.status !== 0) throw new NoGo('Go is not installed, and the test vCenter is built with it')
  if (!/^go1\.(2[5-9]|[3-9]\d)/.test(version.stdout))
    throw new NoGo(`the test vCenter needs Go 1.25, and this is ${version.stdout.trim()}`)
  const modules = go('mod', 'download')
  if (modules.status !== 0) throw new NoGo(`the modules of the test vCenter cannot be had: ${modules.stderr.trim()}`)
  const made = `${program}.${process.pid}`
  const built = go('build', '-mod=readonly', '-o', made, '.')
  if (built.status !== 0) throw new Error(`the test vCenter does not build: ${built.stderr}`)
  renameSync(made, program)
  return program
}

/** Where the distribution puts a Go that has its version in the name of its package. */
const distributions = '/usr/lib/go-1.25/bin'

function go(...words: string[]) {
  const env = { ...process.env, PATH: `${process.env['PATH']}:${distributions}` }
  return spawnSync('flock', [join(cache, 'lock'), 'nice', 'go', ...words], { cwd: sources, encoding: 'utf8', env })
}

export async function aVcenter(...options: string[]): Promise<TestVcenter> {
  const [username, password] = ['operator', 'p<ss & "word"']
  const folder = mkdtempSync(join(tmpdir(), 'ramet-vcenter-'))
  const words = ['-username', username, '-password', password, '-identity', join(folder, 'identity.pem')]
  let running = start([...words, ...options])
  const { url, thumbprint } = await firstLine(running.child.stdout)
  const stop = async () => {
    running.child.stdin.end()
    await running.ended
  }
  return {
    url,
    username,
    password,
    trust: { thumbprint },
    trouble: async ({ body, ...one }) =>
      void (await control(url, 'POST', 'trouble', { ...one, body: body && Buffer.from(body).toString('base64') })),
    endSessions: async () => void (await control(url, 'DELETE', 'sessions')),
    last: method => control(url, 'GET', `last?method=${method}`),
    calls: async () => JSON.parse(await control(url, 'GET', 'calls')) as Record<string, number>,
    copied: async () => Number(await control(url, 'GET', 'copied')),
    restart: async (...changed) => {
      await stop()
      running = start([...words, ...changed, '-listen', new URL(url).host])
      await firstLine(running.child.stdout)
    },
    stop: async () => {
      await stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function start(words: readonly string[]) {
  const child = spawn(vcenterProgram(), words, { stdio: ['pipe', 'pipe', 'inherit'] })
  return { child, ended: new Promise<void>(resolve => child.once('exit', () => resolve())) }
}

async function firstLine(stream: NodeJS.ReadableStream): Promise<{ url: string; thumbprint: string }> {
  for await (const line of createInterface(stream)) return JSON.parse(line) as { url: string; thumbprint: string }
  throw new Error('the test vCenter ended before it listened')
}

function control(url: string, method: string, what: string, body?: object): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const outgoing = request(new URL(`/control/${what}`, url), { method, rejectUnauthorized: false, agent: false })
  outgoing.on('error', reject)
  outgoing.on('response', async response => {
    const text = Buffer.concat(await response.toArray()).toString()
    if (response.statusCode === 200) resolve(text)
    else reject(new Error(text))
  })
  outgoing.end(body && JSON.stringify(body))
  return promise
}
