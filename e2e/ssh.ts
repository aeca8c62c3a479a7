// Logs in to a guest by SSH, as a user would.
import { type ChildProcessWithoutNullStreams, execFile, spawn } from 'node:child_process'
import { promisify } from 'node:util'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
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
const options = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR', 'ConnectTimeout=5']

/** Runs `command` in the guest at `address` (HOST:PORT) and returns what it printed; throws when it fails. */
export async function ssh(address: string, key: KeyPair, command: string, user = 'root'): Promise<string> {
  return outputOf(openSession(address, key, command, user), `ssh ${address} "${command}"`)
}

/** A session that stays open, to write to and read from. */
export function openSession(
  address: string,
  key: KeyPair,
  command: string,
  user = 'root',
): ChildProcessWithoutNullStreams {
  return spawn('ssh', ['-i', key.file, '-o', 'BatchMode=yes', ...destination(address, user), command])
}

/** The same as `ssh`, with a password; OpenSSH asks a program of ours for it, so that none must be typed. */
export async function sshByPassword(
  address: string,
  password: string,
  command: string,
  user = 'root',
): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'ramet-askpass-'))
  const program = join(directory, 'askpass')
  await writeFile(program, '#!/bin/sh\nprintf "%s\\n" "$RAMET_PASSWORD"\n', { mode: 0o700 })
  const env = { ...process.env, SSH_ASKPASS: program, SSH_ASKPASS_REQUIRE: 'force', RAMET_PASSWORD: password }
  const only = ['-o', 'PubkeyAuthentication=no', '-o', 'NumberOfPasswordPrompts=1']
  try {
    const child = spawn('ssh', [...only, ...destination(address, user), command], { env })
    return await outputOf(child, `ssh ${address} "${command}", by password,`)
  } finally {
    await rm(directory, { recursive: true })
  }
}

function destination(address: string, user: string): string[] {
  const [host = '', port = ''] = address.split(':')
  return ['-p', port, ...options.flatMap(each => ['-o', each]), `${user}@${host}`]
}

async function outputOf(child: ChildProcessWithoutNullStreams, what: string): Promise<string> {
  child.stdin.end()
  const [output, complaint, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>(resolve => child.once('close', resolve)),
  ])
  if (code !== 0) throw new Error(`${what} ended with ${code}: ${complaint.trim() || output.trim()}`)
  return output.trim()
}

/** Waits until the guest answers by SSH. */
export async function awaitSsh(address: string, key: KeyPair, seconds = 120, user = 'root'): Promise<void> {
  const deadline = Date.now() + 1000 * seconds
  for (;;) {
    try {
      await ssh(address, key, 'true', user)
      return
    } catch (error) {
      if (Date.now() > deadline) throw error
      await delay(200)
    }
  }
}
