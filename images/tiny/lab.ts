// Boots an image in QEMU for the test: one machine at a time, with a seed, a guest agent, and SSH on a port of this host.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { run } from './run.ts'

export interface Machine {
  ssh(command: string): Promise<string>
  /** SSH's answer for the first time, in milliseconds since QEMU was started. */
  awaitSsh(): Promise<number>
  agent(execute: string, args?: object): Promise<unknown>
  monitor(execute: string, args?: object): Promise<unknown>
  hostKey(): Promise<string>
  serial(): Promise<string>
  ended(): Promise<void>
  kill(): Promise<void>
}

export interface Seed {
  readonly file: string
  readonly device: 'virtio-blk-pci' | 'ide-cd'
}

const user = ['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'LogLevel=ERROR']

export async function makeSeed(directory: string, name: string, metaData: object, userData: string): Promise<string> {
  const files = join(directory, name)
  await mkdir(files)
  await writeFile(join(files, 'meta-data'), JSON.stringify(metaData))
  await writeFile(join(files, 'user-data'), userData)
  await run('genisoimage', ['-quiet', '-V', 'cidata', '-J', '-r', '-o', `${files}.iso`, files])
  return `${files}.iso`
}

export async function boot(directory: string, disk: string, seed: Seed, key: string): Promise<Machine> {
  const port = await freePort()
  const at = (name: string) => join(directory, name)
  const machine = ['-M', 'q35', '-accel', 'tcg', '-cpu', 'max', '-m', '256', '-nodefaults', '-display', 'none']
  const drives = [
    ...['-drive', `if=none,id=disk,file=${disk}`, '-device', 'virtio-blk-pci,drive=disk,bootindex=0'],
    ...['-drive', `if=none,id=seed,file=${seed.file},format=raw,readonly=on`, '-device', `${seed.device},drive=seed`],
  ]
  const channels = [
    ...['-device', 'virtio-serial-pci', '-chardev', `socket,path=${at('agent')},server=on,wait=off,id=agent`],
    ...['-device', 'virtserialport,chardev=agent,name=org.qemu.guest_agent.0', '-serial', `file:${at('serial')}`],
    ...['-qmp', `unix:${at('monitor')},server=on,wait=off`],
  ]
  const others = [
    ...['-netdev', `user,id=net0,hostfwd=tcp:127.0.0.1:${port}-:22`, '-device', 'virtio-net-pci,netdev=net0'],
    ...['-device', 'pcie-root-port,id=rp0,chassis=1', '-device', 'vmgenid,guid=auto'],
  ]
  await rm(at('serial'), { force: true }) // of the boot before
  const started = performance.now()
  const child = spawn('qemu-system-x86_64', [...machine, ...drives, ...channels, ...others], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const ended = new Promise<void>(resolve => child.once('exit', () => resolve()))
  const ssh = (command: string) =>
    run('ssh', [
      '-i',
      key,
      '-p',
      String(port),
      ...user,
      '-o',
      'BatchMode=yes',
      '-o',
      'ConnectTimeout=5',
      'root@127.0.0.1',
      command,
    ])
  return {
    ssh,
    async awaitSsh() {
      // Not by trying: QEMU's port takes connections long before the guest does, and then each one hangs for seconds.
      await eventually('the machine to be ready', 60_000, async () => {
        if (stillRuns(child) && !(await readFile(at('serial'), 'utf8')).includes('ramet-tiny ready'))
          throw new Error('not yet')
      })
      await ssh('true')
      return performance.now() - started
    },
    agent: (execute, args) => ask(at('agent'), execute, args),
    monitor: (execute, args) => ask(at('monitor'), execute, args, 'qmp_capabilities'),
    hostKey: () => keyScan(port),
    serial: () => readFile(at('serial'), 'utf8'),
    ended: () => ended,
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

function stillRuns(child: ChildProcess): true {
  if (child.exitCode !== null || child.signalCode !== null) throw new Stop('QEMU has ended')
  return true
}

class Stop extends Error {}

/** Tries until it works; what went wrong last explains a failure. */
export async function eventually<T>(what: string, limit: number, attempt: () => Promise<T> | T): Promise<T> {
  const until = performance.now() + limit
  for (;;) {
    try {
      return await attempt()
    } catch (cause) {
      if (cause instanceof Stop || performance.now() > until) throw new Error(`Waited in vain for ${what}`, { cause })
      await pause(100)
    }
  }
}

function keyScan(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile('ssh-keyscan', ['-T', '10', '-t', 'ed25519', '-p', String(port), '127.0.0.1'], (error, stdout) =>
      error ? reject(error) : resolve(stdout.trim().split(' ').at(-1) ?? ''),
    )
  })
}

/** One question to QEMU or to the guest agent: both take a line of JSON and answer with one. */
function ask(path: string, execute: string, args: object = {}, first?: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    const id = `${execute}-${performance.now()}`
    const isAgent = first === undefined
    let text = ''
    socket.setTimeout(10_000, () => socket.destroy(new Error(`No answer to ${execute}`)))
    socket.on('error', reject)
    if (first) socket.write(`${JSON.stringify({ execute: first })}\n`)
    socket.write(`${JSON.stringify({ execute, arguments: args, ...(isAgent ? {} : { id }) })}\n`)
    socket.on('data', chunk => {
      text += chunk
      for (const line of text.split('\n').slice(0, -1)) {
        const answer = JSON.parse(line)
        if (!isAgent && answer.id !== id) continue
        socket.destroy()
        if (answer.error) reject(new Error(answer.error.desc))
        else resolve(answer.return)
      }
    })
  })
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}
