import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Cloud, list } from './world.ts'
const run = promisify(execFile)
const cloud = await Cloud.open()
const w = cloud.world
const say = (n: string, p: Promise<unknown>) => p.then(v => console.log(n, '->', JSON.stringify(v)?.slice(0, 300)), e => console.log(n, '!!', e.errorcode, e.message))
const settled = (r: PromiseSettledResult<unknown>[]) => r.map(x => x.status === 'fulfilled' ? 'ok' : x.reason.message)
try {
  const c = (n: string, p = {}) => w.client.call(n, p)
  const img = join(cloud.folder, 'b.qcow2')
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', img, '300M'])
  await run('qemu-io', ['-f', 'qcow2', '-c', 'write -q -P 7 0 300M', img])
  const t = (await w.registerTemplate(img)).id
  const off4 = ((await c('createServiceOffering', { name: 'y', cpunumber: 3, memory: 33 }))['serviceoffering'] as any).id
  await say('deploy 33MiB 3 cpus', w.deploy(t, 'odd', 'linked', { serviceofferingid: off4 }))
  const odd = (await w.machines())[0]!
  await say('double stop', Promise.allSettled([w.stop(odd, true), w.stop(odd, true)]).then(settled))
  await say('double start', Promise.allSettled([w.start(odd), w.start(odd)]).then(settled))
  await say('start+stop+destroy', Promise.allSettled([w.reboot(odd), w.stop(odd, true), w.start(odd), w.expunge(odd)]).then(settled))
  await say('list', w.machines().then(m => m.map(x => [x.name, x.state])))
  for (const wait of [0, 30, 100, 300, 700]) {
    const t2 = (await w.registerTemplate(img, { name: 't2' })).id
    await say(`delete ${wait} ms into a deploy`, (async () => { const r = await Promise.allSettled([w.deploy(t2, `race${wait}`, 'linked', { startvm: false }), w.deploy(t2, `racef${wait}`, 'full', { startvm: false }), delay(wait).then(() => w.client.run('deleteTemplate', { id: t2 }))]); await w.quiet(); return [settled(r), (await list(w.client, 'listTemplates', 'template', { templatefilter: 'all', name: 't2' })).map(x=>x['status']), (await cloud.layerFiles()).length] })())
    for (const m of await w.machines()) await say(`expunge ${m.name} ${m.state}`, w.expunge(m))
    await w.quiet()
    await say('files', cloud.layerFiles()); 
    console.log((await cloud.cli('doctor')).stdout)
  }
  // cancel a deploy that waits for a copy
  const t3 = (await w.registerTemplate(img, { name: 't3' })).id
  await say('cancel one that waits', (async () => {
    const a: any = await c('deployVirtualMachine', { zoneid: w.zone, serviceofferingid: w.offering, templateid: t3, name: 'wa', startvm: false, clonetype: 'linked' })
    const b: any = await c('deployVirtualMachine', { zoneid: w.zone, serviceofferingid: w.offering, templateid: t3, name: 'wb', startvm: false, clonetype: 'linked' })
    await c('cancelJob', { jobid: b.jobid })
    await w.quiet()
    return [(await c('queryAsyncJobResult', { jobid: a.jobid })).jobstatus, (await c('queryAsyncJobResult', { jobid: b.jobid })).jobstatus]
  })())
  for (const m of await w.machines()) await say(`expunge ${m.name} ${m.state}`, w.expunge(m))
  await w.client.run('deleteTemplate', { id: t }); await w.client.run('deleteTemplate', { id: t3 })
  await w.quiet()
  await say('files', cloud.layerFiles()); await say('vms', cloud.machineFolders())
  console.log((await cloud.cli('doctor')).stdout)
  console.log((await run('sh', ['-c', `grep -v '"level":[34]0' ${cloud.logFile} | cut -c1-600`])).stdout)
} finally { await cloud.close() }
