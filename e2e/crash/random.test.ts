// The server is killed with -9 at twenty random moments of a busy life: machines being made, stopped, started and removed
// all at once. Moments come from a seed that is printed; RAMET_SEED repeats a run.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { CrashLab } from './lab.ts'

const seed = Number(process.env['RAMET_SEED'] ?? Date.now() % 1_000_000)
const moments = 20

describe(`a server killed at ${moments} random moments (seed ${seed})`, () => {
  let lab: CrashLab
  let template: string
  let bystander: { id: string; pid: string }
  const random = randomFrom(seed)

  before(async () => {
    lab = await CrashLab.open()
    template = (await lab.world.registerTemplate(lab.image, { passwordenabled: false })).id
    const machine = await lab.world.deploy(template, 'bystander')
    bystander = { id: machine.id, pid: await lab.pidOf(machine.id) }
  })
  after(() => lab.close())

  for (let moment = 1; moment <= moments; moment++)
    test(`leaves nothing half done and loses nothing acknowledged, moment ${moment}`, async () => {
      const life = busyLife(`m${moment}`)
      await delay(Math.floor(random() * 1200))
      lab.server.child.kill('SIGKILL')
      await lab.died()
      const acknowledged = await life
      await lab.recover()
      assert.deepEqual(await lab.findings(), [])
      for (const jobid of acknowledged) {
        const job = await lab.world.client.call('queryAsyncJobResult', { jobid })
        assert.ok([1, 2].includes(job['jobstatus'] as number), `job ${jobid} is ${String(job['jobstatus'])}`)
      }
      assert.equal(await lab.pidOf(bystander.id), bystander.pid)
      await clearAway()
    })

  test('everything can be removed afterwards', async () => {
    await lab.world.expunge(bystander)
    await lab.world.deleteTemplate(template)
    assert.deepEqual(await lab.findings(), [])
  })

  async function clearAway(): Promise<void> {
    const leftovers = (await lab.world.machines()).filter(({ id }) => id !== bystander.id)
    await Promise.all(leftovers.map(machine => lab.world.expunge(machine)))
  }

  /** Three users at work until the server is gone; the jobs that it acknowledged. */
  async function busyLife(prefix: string): Promise<string[]> {
    const jobs: string[] = []
    const user = async (name: string, cloneType: string) => {
      for (let turn = 1; ; turn++) {
        const { id, jobid } = await lab.world.startDeploy(template, `${name}-${turn}`, cloneType)
        jobs.push(jobid as string)
        for (const [command, more] of [
          ['stopVirtualMachine', { forced: true }],
          ['startVirtualMachine', {}],
          ['rebootVirtualMachine', { forced: true }],
          ['destroyVirtualMachine', { expunge: true }],
        ] as const)
          jobs.push((await lab.world.client.call(command, { id: id as string, ...more }))['jobid'] as string)
        await lab.world.quiet()
      }
    }
    await Promise.all(
      ['linked', 'full', 'linked'].map((type, index) => user(`${prefix}-${index}`, type).catch(() => {})),
    )
    return jobs
  }
})

/** Mulberry32: small, and the same numbers for the same seed. */
function randomFrom(start: number): () => number {
  let state = start
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let bits = Math.imul(state ^ (state >>> 15), 1 | state)
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32
  }
}
