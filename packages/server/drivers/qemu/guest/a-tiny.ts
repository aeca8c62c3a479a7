// For tests: guests that answer. The demo template on real machines, and a way to run commands in it.
import { execFile } from 'node:child_process'
import { chmod } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { newId } from '@ramet/core/ids.ts'
import { buildTiny } from '../../../../../images/tiny/build.ts'
import { aMachine, anOwner } from '../../contract.ts'
import type { LayerRef, MachineSpec } from '../../driver.ts'
import type { QemuUnderTest } from '../a-driver.ts'

const run = promisify(execFile)
/** Beside the sources, where the next run finds it. */
const cache = join(import.meta.dirname, '../../../../../.cache/tiny')
/** Null where it cannot be built. */
export const tiny = await buildTiny({ directory: cache }).catch(() => null)

export interface TinyMachine {
  readonly spec: MachineSpec
  /** The template, and the machine's own layer on it. */
  readonly base: LayerRef
  readonly root: LayerRef
  readonly key: string
}

/** A linked clone of the template, not started yet. */
export async function aTinyMachine({ driver, pool, folder }: QemuUnderTest): Promise<TinyMachine> {
  const file = tiny?.file ?? ''
  await driver.pools.prepare(pool)
  const [base, root] = [
    { pool, id: newId<'layer'>() },
    { pool, id: newId<'layer'>() },
  ]
  const { virtualBytes } = await driver.images.inspect(file, 'qcow2', 2 ** 40)
  await driver.layers.seed(base, file, 'qcow2', null, () => {}, new AbortController().signal)
  await driver.layers.fork(root, [base], virtualBytes * 2, anOwner)
  const key = join(folder, 'key')
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
  await chmod(key, 0o600)
  const spec = aMachine(root, {
    memoryMib: 256,
    disks: [{ deviceId: 0, chain: [base, root] }],
    firstBoot: {
      instanceId: 'i-1',
      hostname: 'grown',
      sshKeys: [(await run('cat', [`${key}.pub`])).stdout.trim()],
      passwordHash: null,
      userData: null,
    },
  })
  return { spec, base, root, key }
}

/** What the command wrote; a connection that breaks is no failure, since a guest that goes off ends it. */
export async function inGuest(key: string, port: number, command: string): Promise<string> {
  const said = await run('ssh', sshWords(key, port, command)).catch(() => null)
  return said?.stdout ?? ''
}

export function sshWords(key: string, port: number, command: string): string[] {
  const settings = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR']
  return ['-i', key, ...settings.flatMap(each => ['-o', each]), '-p', String(port), 'root@127.0.0.1', command]
}

export async function untilAnswers(port: number): Promise<void> {
  while (!(await answers(port))) await sleep(100)
}

/** True when something behind the port says that it is an SSH server; QEMU itself accepts before the guest does. */
export function answers(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    const settle = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(2000, () => settle(false))
    socket.once('error', () => settle(false))
    socket.once('close', () => settle(false))
    socket.once('data', bytes => settle(bytes.toString('latin1').startsWith('SSH-')))
  })
}
