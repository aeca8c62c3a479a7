// The floor of a linked clone: an overlay by `qemu-img create`, and QEMU with a real machine's own arguments, started from
// here and asked by its monitor until it says that the CPUs run. No database, no records, no user of its own.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface BareMachine {
  /** What its overlay stands on: the template's copy. */
  readonly base: string
  /** Makes the overlay and starts the process; fulfils when it runs. */
  start(): Promise<void>
  /** Kills the process and removes what it left. */
  remove(): Promise<void>
}

/** The command line of the QEMU that `wanted` knows, as the kernel tells it. */
export async function argumentsWhere(wanted: (args: readonly string[]) => boolean): Promise<string[]> {
  for (const pid of (await readdir('/proc')).filter(name => /^\d+$/.test(name))) {
    const args = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0').slice(0, -1)
    if (args[0]?.includes('qemu-system') && wanted(args)) return args
  }
  throw new Error('the process that was just started is not to be found')
}

/** Like the machine that `args` are of, with files in `folder` instead of its own. Made while that machine still exists. */
export async function bareMachine(args: readonly string[], folder: string): Promise<BareMachine> {
  const { argv, overlay, base, lock, ram, seed } = moved(args, folder)
  await mkdir(join(folder, 'run'), { recursive: true })
  await copyFile(seed, join(folder, 'seed.iso'))
  let child: ChildProcess | null = null
  return {
    base,
    async start() {
      await mkdir(dirname(ram), { recursive: true }) // its folder goes with the server's last machine
      await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', base, overlay])
      child = spawn(argv[0] ?? '', argv.slice(1), { stdio: 'ignore', cwd: '/' })
      await untilRunning(join(folder, 'qmp.sock'), child)
    },
    async remove() {
      if (child?.exitCode === null && child.kill('SIGKILL')) await once(child, 'exit')
      const left = [overlay, lock, ram, ...['qmp', 'agent', 'taps'].map(name => join(folder, `${name}.sock`))]
      await Promise.all(left.map(path => rm(path, { force: true })))
    },
  }
}

function moved(args: readonly string[], folder: string) {
  const lock = args[args.indexOf('-pidfile') + 1] ?? ''
  const oldFolder = lock.replace(/\/run\/lock$/, '')
  const ram = /mem-path=([^,]+)/.exec(args.join(' '))?.[1] ?? ''
  const [base = '', tip = ''] = [...args.join(' ').matchAll(/"filename":"([^"]+\.qcow2)"/g)].map(
    match => match[1] ?? '',
  )
  if (!oldFolder || !ram || !tip) throw new Error(`an unfamiliar command line: ${args.join(' ')}`)
  const overlay = join(folder, 'overlay.qcow2')
  const argv = args.map(each =>
    each
      .replaceAll(oldFolder, folder)
      .replace(tip, overlay)
      // Guest memory stays on tmpfs, where a machine has it.
      .replace(ram, `${ram}.bare`)
      .replace(/(id=(qmp|agent|taps)),fd=\d+/, `$1,path=${folder}/$2.sock`),
  )
  return {
    argv,
    overlay,
    base,
    ram: `${ram}.bare`,
    lock: lock.replace(oldFolder, folder),
    seed: `${oldFolder}/seed.iso`,
  }
}

async function untilRunning(path: string, child: ChildProcess): Promise<void> {
  const socket = await connected(path, child)
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]()
  const ask = async (execute: string) => {
    socket.write(`${JSON.stringify({ execute })}\n`)
    for (;;) {
      const { value, done } = await lines.next()
      if (done) throw new Error('QEMU closed its monitor')
      const { return: answer, error } = JSON.parse(value)
      if (error) throw new Error(`QEMU refused ${execute}: ${error.desc}`)
      if (answer) return answer
    }
  }
  await ask('qmp_capabilities')
  await ask('cont') // our arguments have -S
  const { status } = await ask('query-status')
  if (status !== 'running') throw new Error(`the bare QEMU is ${status}`)
  socket.destroy()
}

async function connected(path: string, child: ChildProcess): Promise<Socket> {
  for (;;) {
    const socket = connect(path)
    try {
      await once(socket, 'connect')
      return socket
    } catch (error) {
      if (child.exitCode !== null) throw new Error(`QEMU ended with ${child.exitCode}`, { cause: error })
      await delay(1)
    }
  }
}
