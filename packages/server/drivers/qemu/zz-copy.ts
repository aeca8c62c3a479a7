import { execFileSync, spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { newId } from '@ramet/core/ids.ts'
import { aQemuDriver } from './a-driver.ts'
import { anOwner } from '../contract.ts'
const made = await aQemuDriver()
const { driver, pool } = made
await driver.host.preparePool(pool)
const med = (x: number[]) => {
  x.sort((a, b) => a - b)
  return `${x[x.length >> 1]!.toFixed(0)} (${x[0]!.toFixed(0)}-${x.at(-1)!.toFixed(0)})`
}
const base = { pool, id: newId<'layer'>() }
await driver.layers.blank(base, 1 << 30, anOwner)
const file = `${pool.path}/layers/${base.id}.qcow2`
spawnSync('qemu-io', ['-c', 'write -P 9 0 512M', '-c', 'flush', file])
execFileSync('sync')
const ours: number[] = [],
  conv: number[] = [],
  convSync: number[] = []
for (let i = 0; i < 10; i++) {
  const copy = { pool, id: newId<'layer'>() }
  let t = performance.now()
  await driver.layers.copy(copy, [base], 1 << 30, anOwner, () => {}, new AbortController().signal)
  ours.push(performance.now() - t)
  await driver.layers.discard(copy)
  const out = `${made.folder}/o.qcow2`
  t = performance.now()
  execFileSync('qemu-img', ['convert', '-W', '-m', '8', '-O', 'qcow2', file, out])
  conv.push(performance.now() - t)
  execFileSync('sync', [out])
  convSync.push(performance.now() - t)
  rmSync(out)
  execFileSync('sync')
}
console.log('copy', med(ours.slice(1)), 'convert', med(conv.slice(1)), 'convert+fsync', med(convSync.slice(1)))
await made.dispose()
