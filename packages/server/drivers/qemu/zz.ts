import { newId } from '@ramet/core/ids.ts'
import { connect } from 'node:net'
import { aQemuDriver, processOf } from './a-driver.ts'
import { aMachine, anOwner } from '../contract.ts'
const made = await aQemuDriver(); const { driver, pool } = made
driver.onPowerChange(c=>console.log('power',c))
try {
await driver.host.preparePool(pool)
console.log(await driver.images.inspect('/tmp/qd/tiny.qcow2','qcow2',2**40))
const base = { pool, id: newId<'layer'>() }, layer = { pool, id: newId<'layer'>() }
let t=performance.now()
await driver.layers.seed(base,'/tmp/qd/tiny.qcow2','qcow2',()=>{},new AbortController().signal); console.log('seed',performance.now()-t)
await driver.layers.fork(layer,[base],2**30,anOwner)
const spec = aMachine(layer,{memoryMib:256,disks:[{deviceId:0,chain:[base,layer]}],firstBoot:{instanceId:'i-9',hostname:'grown',sshKeys:['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKqo1111111111111111111111111111111111111111 x'],passwordHash:'$6$abc$def',userData:null}})
t=performance.now()
const f=await driver.machines.start(spec); console.log('start',performance.now()-t,f)
const port=Object.values(f.sshPorts)[0]!
const banner=()=>new Promise<string|null>(r=>{const c=connect(port,'127.0.0.1');c.setTimeout(1000,()=>{c.destroy();r(null)});c.on('error',()=>r(null));c.on('close',()=>r(null));c.on('data',d=>{r(String(d));c.destroy()})})
let b; for(let i=0;i<60&&!(b=await banner());i++)await new Promise(r=>setTimeout(r,300))
console.log('ssh',performance.now()-t,b)
console.log(String(await driver.machines.consoleLog(spec.vm,1500)))
t=performance.now(); await driver.machines.stop(spec.vm,30000,new AbortController().signal); console.log('graceful stop',performance.now()-t)
console.log(String(await driver.machines.consoleLog(spec.vm,600)))
} finally { await made.dispose() }
