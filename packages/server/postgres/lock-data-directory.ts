// One server per data directory, guaranteed by a lock that the kernel drops when the server ends, however it ends.
//
// Node cannot lock files, so a small helper does: `flock` takes the lock and becomes `cat`. It goes when our end of its
// input closes, and by death signal besides. The locked descriptor lives in the helper alone, so a virtual machine's
// process, which outlives us, cannot inherit it and keep the directory locked.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Problem } from '@ramet/core/problem.ts'

export interface DataDirectoryLock {
  /** Resolves when the helper ended though nobody called release: from then on another server may start here. */
  readonly lost: Promise<void>
  release(): Promise<void>
}

const taken = 75 // what we tell flock to exit with; its other failures have codes of their own

/** Waits `patienceSeconds` for a holder to go: the helper of a server that was just killed needs a moment. */
export async function lockDataDirectory(directory: string, patienceSeconds = 2): Promise<DataDirectoryLock> {
  await mkdir(directory, { recursive: true, mode: 0o711 })
  const file = join(directory, 'server.lock')
  await writeFile(file, '', { flag: 'a' })
  await chmod(file, 0o600) // whoever may read a file may lock it, and so keep us out

  const helper = startHelper(file, patienceSeconds)
  const exit = once(helper, 'exit')
  helper.stdin.on('error', () => {}) // a helper that was refused leaves a broken pipe; its exit code says why
  helper.stdin.write('held\n') // cat's echo tells that the lock is ours
  const answer = await Promise.race([once(helper.stdout, 'data'), exit])
  if (answer[0] === taken) throw await refusal(directory, file)
  if (!Buffer.isBuffer(answer[0])) throw new Error(`Cannot lock ${file}: flock ended with ${answer[0] ?? answer[1]}`)

  await writeFile(file, `${process.pid}\n`)
  let isReleased = false
  const { promise: lost, resolve: lose } = Promise.withResolvers<void>()
  helper.once('exit', () => isReleased || lose())
  return {
    lost,
    async release() {
      isReleased = true
      helper.stdin.end()
      await exit
    },
  }
}

function startHelper(file: string, patienceSeconds: number) {
  const flock = ['flock', `--timeout=${patienceSeconds}`, `--conflict-exit-code=${taken}`, '--no-fork', file, 'cat']
  // Detached, as Ctrl-C in a terminal must not take the lock from a server that is still closing its work.
  return spawn('setpriv', ['--pdeathsig=KILL', ...flock], { stdio: ['pipe', 'pipe', 'inherit'], detached: true })
}

async function refusal(directory: string, file: string): Promise<Problem> {
  const pid = Number.parseInt(await readFile(file, 'utf8'))
  const holder = pid > 0 ? `, process ${pid},` : ''
  return new Problem(
    'in-use',
    'data-dir-in-use',
    `Another Ramet server${holder} is using ${directory}; stop it first, or choose another data directory`,
  )
}
