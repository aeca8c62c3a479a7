import { spawn, execFileSync } from 'node:child_process'
import { connect } from 'node:net'
import { existsSync, readFileSync, rmSync, mkdirSync, copyFileSync } from 'node:fs'
import { newId } from '@ramet/core/ids.ts'
import { aQemuDriver, processOf } from '/work/main/packages/server/drivers/qemu/a-driver.ts'
import { aMachine, anOwner } from '/work/main/packages/server/drivers/contract.ts'
const made = await aQemuDriver()
const { driver, pool } = made
await driver.host.preparePool(pool)
const N = Number(process.argv[2] ?? 11)
const sig = new AbortController().signal
const med = (x: number[]) => {
  x.sort((a, b) => a - b)
  return `${x[x.length >> 1]!.toFixed(1)} (${x[0]!.toFixed(1)}-${x.at(-1)!.toFixed(1)})`
}
const base = { pool, id: newId<'layer'>() }
await driver.layers.seed(base, made.image.file, 'qcow2', () => {}, sig)
const fork: number[] = [],
  start: number[] = [],
  both: number[] = [],
  bare: number[] = [],
  img: number[] = []
const greet: number[] = []
let args: string[] | null = null
async function bareStart() {
  // same argv; only sockets by path rather than fd, and lock path freed
  const dir = '/tmp/qd/bench/'
  const sock = dir + 'qmp.sock'
  rmSync(sock, { force: true })
  let q = 0
  const a = args!.slice(1).map(x => x.replace('fd=3', `path=${sock}`).replace('fd=4', `path=${dir}agent.sock`))
  const t = performance.now()
  const child = spawn(args![0]!, a, {
    uid: 1900000007,
    gid: 1900000007,
    stdio: ['ignore', 'ignore', 'ignore'],
    detached: true,
  })
  const s = await new Promise<any>(r => {
    const go = () => {
      const c = connect(sock)
      c.on('connect', () => r(c))
      c.on('error', () => setTimeout(go, 1))
    }
    go()
  })
  s.write('{"execute":"qmp_capabilities"}\n{"execute":"cont"}\n')
  let n = ''
  await new Promise<void>(r =>
    s.on('data', (d: any) => {
      if (n === '') greet.push(performance.now() - t)
      n += d
      if ((n.match(/return/g) ?? []).length >= 2) r()
    }),
  )
  bare.push(performance.now() - t)
  child.kill('SIGKILL')
  await new Promise(r => child.once('exit', r))
  s.destroy()
}
for (let i = 0; i < N + 1; i++) {
  const layer = { pool, id: newId<'layer'>() }
  const t0 = performance.now()
  await driver.layers.fork(layer, [base], 2 ** 30, anOwner)
  const t1 = performance.now()
  const spec = aMachine(layer, { memoryMib: 256, disks: [{ deviceId: 0, chain: [base, layer] }] })
  await driver.machines.start(spec)
  const t2 = performance.now()
  if (i > 0) {
    fork.push(t1 - t0)
    start.push(t2 - t1)
    both.push(t2 - t0)
  }
  const p = await processOf(made.runDirectory, spec.vm)
  args = readFileSync(`/proc/${p!.pid}/cmdline`, 'utf8').split('\0').slice(0, -1)
  const ram = args.find(x => x.includes('mem-path='))!.match(/mem-path=([^,]*)/)![1]!
  await driver.machines.stop(spec.vm, 0, sig)
  // bare on the same files
  execFileSync('mkdir', ['-p', '/tmp/qd/bench'])
  execFileSync('chown', ['1900000007', '/tmp/qd/bench'])
  execFileSync('chmod', ['777', '/tmp/qd/bench', '/tmp/qd'])
  execFileSync('truncate', ['-s', '256M', ram])
  execFileSync('chown', ['1900000007', ram])
  await bareStart()
  if (i === 0) bare.length = 0
  rmSync(ram, { force: true })
  await driver.machines.discard(spec.vm)
  const t3 = performance.now()
  execFileSync('qemu-img', [
    'create',
    '-q',
    '-f',
    'qcow2',
    '-F',
    'qcow2',
    '-b',
    `${pool.path}/layers/${base.id}.qcow2`,
    '/tmp/qd/bench/o.qcow2',
  ])
  if (i > 0) img.push(performance.now() - t3)
  await driver.layers.discard(layer)
}
console.log('fork', med(fork))
console.log('start', med(start))
console.log('fork+start', med(both))
console.log('bare to running', med(bare))
console.log('bare to greeting', med(greet))
console.log('qemu-img create', med(img))
await made.dispose()
