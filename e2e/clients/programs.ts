// Where the clients of others come from: this machine's own, or one that the ordinary tool of its language installs once into
// the cache. Each is a program to run, or the reason why there is none, with which its tests are skipped.
import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { imageCache } from '../image-cache.ts'

/** `program` and the words that it is called with come before those of a call. */
export type Found = { readonly program: readonly string[] } | { readonly missing: string }

const run = promisify(execFile)

const cache = join(imageCache(), '..')
const installLimitMs = 240_000
const gosdk = join(import.meta.dirname, 'gosdk')

/** What a client prints; when it fails, the error repeats all that it said, wherever it said it. */
export async function say(client: Found, words: readonly string[], set: Record<string, string>): Promise<string> {
  if ('missing' in client) throw new Error(client.missing)
  const [program = '', ...first] = client.program
  const { stdout } = await run(program, [...first, ...words], { env: { ...process.env, ...set } }).catch(cause => {
    throw new Error(`${String(cause.stdout)}${String(cause.stderr)}` || String(cause), { cause })
  })
  return stdout
}

/** CloudMonkey 6.4.0 and what came after. Its tags are not of the form that Go wants, so its commit is named. */
const cmkModule = 'github.com/apache/cloudstack-cloudmonkey'
const cmkVersion = 'v0.0.0-20250319034009-38cef540b981'

export async function findCmk(): Promise<Found> {
  const folder = join(cache, 'cmk', cmkVersion)
  const own = join(folder, 'cloudstack-cloudmonkey')
  const installed = await firstThatAnswers([['cmk'], [own]], '-v', /cloudmonkey/i)
  return installed ?? byGo(['install', `${cmkModule}@${cmkVersion}`], own, { GOBIN: folder })
}

/** A program of ours over Apache's Go SDK, https://github.com/apache/cloudstack-go. Unchanged sources take no time. */
export async function buildGoSdk(): Promise<Found> {
  const program = join(cache, 'gosdk')
  return byGo(['build', '-C', gosdk, '-o', program, '.'], program)
}

/** https://github.com/ngine-io/cs. */
export async function findCs(): Promise<Found> {
  const folder = join(cache, 'cs')
  const own = join(folder, 'bin/cs')
  const isCs = /cloudstack/i // another program has the same name
  const packaged = ['/usr/bin/python3', '-m', 'cs'] // python3-cs brings no program
  const installed = await firstThatAnswers([['cs'], packaged, [own]], '--help', isCs)
  if (installed) return installed
  try {
    await run('python3', ['-m', 'venv', folder])
    await run(join(folder, 'bin/pip'), ['install', '--quiet', '--retries=1', '--timeout=10', 'cs'])
    return { program: [own] }
  } catch (error) {
    return { missing: `neither cs nor pip to install it is here: ${lastLine(error)}` }
  }
}

async function byGo(words: readonly string[], program: string, set: Record<string, string> = {}): Promise<Found> {
  const go = await firstThatAnswers([['go'], ['/usr/local/go/bin/go']], 'version', /^go version/)
  if (!go || 'missing' in go) return { missing: 'Go is not here to build it' }
  // Unlike Go's own, this cache can be deleted like any other folder.
  const env = { ...process.env, GOPATH: join(cache, 'go'), GOFLAGS: '-modcacherw', CGO_ENABLED: '0', ...set }
  await mkdir(cache, { recursive: true })
  return run(go.program[0] ?? '', words, { env, timeout: installLimitMs }).then(
    () => ({ program: [program] }),
    error => ({ missing: `Go cannot build it: ${lastLine(error)}` }),
  )
}

async function firstThatAnswers(programs: readonly string[][], word: string, answer: RegExp): Promise<Found | null> {
  const env = { ...process.env, HOME: join(cache, 'home') } // cmk writes a configuration even to tell its version
  await mkdir(env.HOME, { recursive: true })
  for (const program of programs) {
    const [file = '', ...first] = program
    const said = await run(file, [...first, word], { env }).catch(() => null)
    if (said && answer.test(said.stdout)) return { program }
  }
  return null
}

function lastLine(error: unknown): string {
  const { stderr = '', message } = error as { stderr?: string; message: string }
  return (stderr.trim() || message).split('\n').at(-1)?.trim() ?? ''
}
