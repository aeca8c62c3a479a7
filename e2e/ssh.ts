// Logs in to a guest by SSH, as a user would.
import { execFile, spawn } from 'node:child_process'
import { promisify } from 'node:util'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'

export interface KeyPair {
  readonly file: string
  readonly publicKey: string
  remove(): Promise<void>
}

export async function makeKeyPair(): Promise<KeyPair> {
  const directory = await mkdtemp(join(tmpdir(), 'ramet-key-'))
  const file = join(directory, 'key')
  await promisify(execFile)('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'ramet', '-f', file])
  const publicKey = (await readFile(`${file}.pub`, 'utf8')).trim()
  return { file, publicKey, remove: () => rm(directory, { recursive: true, force: true }) }
}

// Host keys are new with every machine, and the port may have been another machine's: nothing to compare with.
const options = [
  'StrictHostKeyChecking=no',
  'UserKnownHostsFile=/dev/null',
  'LogLevel=ERROR',
  'BatchMode=yes',
  'ConnectTimeout=5',
]

/** Runs `command` in the guest at `address` (HOST:PORT) and returns what it printed; throws when it fails. */
export async function ssh(address: string, key: KeyPair, command: string): Promise<string> {
  const [host = '', port = ''] = address.split(':')
  const child = spawn(
    'ssh',
    ['-i', key.file, '-p', port, ...options.flatMap(each => ['-o', each]), `root@${host}`, command],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const [output, complaint, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise(resolve => child.once('close', resolve)),
  ])
  if (code !== 0)
    throw new Error(`ssh ${address} "${command}" ended with ${code}: ${complaint.trim() || output.trim()}`)
  return output.trim()
}

/** Waits until the guest answers by SSH. */
export async function awaitSsh(address: string, key: KeyPair, seconds = 120): Promise<void> {
  const deadline = Date.now() + 1000 * seconds
  for (;;) {
    try {
      await ssh(address, key, 'true')
      return
    } catch (error) {
      if (Date.now() > deadline) throw error
      await delay(200)
    }
  }
}
