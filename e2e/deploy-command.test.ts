// `./ramet deploy` as somebody uses it, on a simulated cloud: who answers questions, who says everything at once, and who says too
// little.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import { type ServerProcess, startServer } from './server-process.ts'
import { type Fields, list } from './world.ts'

describe('./ramet deploy', () => {
  let folder: string
  let server: ServerProcess
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ramet-cmd-'))
    await chmod(folder, 0o711) // the database has an account of its own, and passes through
    server = await startServer(join(folder, 'data'), {}, ['--simulate', '1'])
  })
  after(async () => {
    await server.end('SIGTERM')
    await rm(folder, { recursive: true, force: true })
  })

  /** What it says when these lines are all that it is told. */
  async function deploy(words: readonly string[], ...lines: readonly string[]) {
    const main = join(import.meta.dirname, '../packages/cli/main.ts')
    const child = spawn(process.execPath, [main, 'deploy', ...words, '--data-dir', join(folder, 'data')])
    child.stdin.end(lines.map(line => `${line}\n`).join(''))
    const ended = new Promise<number | null>(resolve => child.once('close', resolve))
    const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)])
    return { code: await ended, out, err }
  }
  const ask = (command: string, object: string, given = {}) => list(server.client, command, object, given)
  const machine = async (name: string): Promise<Fields> => {
    const [found] = await ask('listVirtualMachines', 'virtualmachine', { name })
    return found ?? assert.fail(`there is no machine ${name}`)
  }
  const numberOf = (said: string, name: string) => new RegExp(`^ +(\\d+) .*\\b${name}\\b`, 'm').exec(said)?.[1] ?? ''

  test('asks for what is missing, shows the plan and the machine that came of it', async () => {
    const { err } = await deploy([])
    assert.match(err, /Templates\n +1 +simulated/)
    assert.match(err, /templateid=… or vmsnapshotid=… is missing, and standard input, which is no terminal/)
    const { code, out, err: said } = await deploy([], '1', 'first', 'Tiny Instance', 'full', 'y')
    assert.equal(code, 0, said)
    assert.match(said, /The plan\n +from +template simulated\n +name +first\n +offering +Tiny Instance: 1 CPU/)
    assert.match(out, /first +Running/)
    assert.equal((await machine('first'))['clonetype'], 'full')
  })

  test('refuses a parameter that the server would pass over', async () => {
    const { code, err } = await deploy(['templatid=simulated', '--yes'])
    assert.equal(code, 1)
    assert.match(err, /Nothing was deployed: there is no parameter templatid\. Did you mean templateid/)
  })

  test('asks for the sizes that a custom offering leaves open', async () => {
    await server.client.call('createServiceOffering', { name: 'Custom', displaytext: 'x', customized: true })
    const said = ['simulated', 'custom', 'Custom', '2', '1000', '512', '', 'y']
    const { code, err } = await deploy([], ...said)
    assert.equal(code, 0, err)
    const { cpunumber, memory } = await machine('custom')
    assert.deepEqual([cpunumber, memory], [2, 512])
  })

  test('asks nothing of who says everything', async () => {
    const [template] = await ask('listTemplates', 'template', { templatefilter: 'all' })
    const [offering] = await ask('listServiceOfferings', 'serviceoffering', { name: 'Tiny Instance' })
    const said = [`templateid=${String(template?.['id'])}`, `serviceofferingid=${String(offering?.['id'])}`]
    const { code, out, err } = await deploy([...said, 'name=second', 'startvm=false', '--yes', '--json'])
    assert.equal(code, 0, err)
    assert.equal((JSON.parse(out) as { virtualmachine: Fields }).virtualmachine['state'], 'Stopped')
    assert.match(err, /startvm +false/)
  })

  test('deploys nothing where the plan is declined, or an answer will not do', async () => {
    const { code, err } = await deploy([], 'simulated', 'third', 'Tiny Instance', '', 'n')
    assert.deepEqual([code, /Nothing was deployed/.test(err)], [1, true])
    assert.match((await deploy([], '7')).err, /"7" is none of them/)
    assert.match((await deploy(['vmsnapshotid=x', 'templateid=y'])).err, /exclude each other/)
    assert.match((await deploy([], 'simulated', 'third', 'Tiny Instance', 'thick')).err, /"thick" is no clone type/)
    assert.deepEqual(await ask('listVirtualMachines', 'virtualmachine', { name: 'third' }), [])
  })

  test('offers the VM snapshots of machines as trees', async () => {
    const { id: virtualmachineid } = await machine('first')
    const take = async (name: string) => {
      const given = { virtualmachineid: virtualmachineid as string, name }
      return ((await server.client.run('createVMSnapshot', given))['vmsnapshot'] as Fields)['id'] as string
    }
    const a = await take('A')
    await take('B')
    await server.client.run('revertToVMSnapshot', { vmsnapshotid: a })
    await take('C')
    const { err: offered } = await deploy([`virtualmachineid=${String(virtualmachineid)}`])
    assert.match(offered, /VM snapshots of first\n +1 +A .*\n +2 +├─ B .*\n +3 +└─ C .*current/)
    assert.doesNotMatch(offered, /Templates/)
    const number = numberOf((await deploy([])).err, 'B')
    const { code, err } = await deploy([], number, 'of-b', '', 'y', 'full', 'y')
    assert.equal(code, 0, err)
    assert.match(
      err,
      /from +VM snapshot B of first\n.*\n +offering +as its VM snapshot has it\n.*\n +data volumes +as then/,
    )
    const { clonetype, serviceofferingname } = await machine('of-b')
    assert.deepEqual([clonetype, serviceofferingname], ['full', 'Tiny Instance'])
  })
})
