// The wire as clients meet it: envelopes, signatures, sessions, jobs, events, live updates, by plain HTTP and by the command
// line. Disks are blank, and most machines stay off. Clients of others are in clients/.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { type Admin, readAdmin } from '@ramet/client/admin.ts'
import { signed } from '@ramet/client/sign.ts'
import { commands } from '@ramet/server/api/commands/index.ts'
import { eventually } from '@ramet/server/testing/eventually.ts'
import { startServer } from './server-process.ts'
import { Cloud, type Fields, list, type World } from './world.ts'

const run = promisify(execFile)

describe('the API', { timeout: 300_000 }, () => {
  let cloud: Cloud
  let admin: Admin
  let template: string

  before(async () => {
    cloud = await Cloud.open()
    admin = await readAdmin(cloud.dataDir)
    const image = join(cloud.folder, 'blank.qcow2')
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', image, '16M'])
    template = (await world().registerTemplate(image)).id
  })
  after(() => cloud?.close())

  const world = (): World => cloud.world
  const deployOff = (name: string) => world().deploy(template, name, 'linked', { startvm: false })
  const endpoint = () => `${cloud.server.url}/client/api`
  const sign = (parameters: Fields, now = new Date()) =>
    signed(new Map(Object.entries(parameters).map(([name, value]) => [name, String(value)])), admin, now)

  async function get(form: URLSearchParams, headers: Record<string, string> = {}): Promise<Answer> {
    return answerOf(await fetch(`${endpoint()}?${form.toString()}`, { headers }))
  }

  async function post(form: URLSearchParams, headers: Record<string, string> = {}): Promise<Answer> {
    return answerOf(await fetch(endpoint(), { method: 'POST', body: form, headers }))
  }

  describe('answers', () => {
    test('in one JSON envelope, to GET and POST alike', async () => {
      const zones = { command: 'listZones', response: 'json' }
      const [byGet, byPost] = [await get(sign(zones)), await post(sign(zones))]
      assert.equal(byGet.type, 'application/json; charset=UTF-8')
      assert.deepEqual(Object.keys(byGet.json), ['listzonesresponse'])
      assert.equal((byGet.json['listzonesresponse'] as Fields)['count'], 1)
      assert.deepEqual(byGet, byPost)
      const names = await get(sign({ COMMAND: 'LISTzones', Response: 'JSON' }))
      assert.deepEqual(names.json, byGet.json)
    })

    test('in XML when nothing else is said, with arrays as repeated elements', async () => {
      const { status, type, text } = await get(sign({ command: 'listServiceOfferings' }))
      assert.deepEqual([status, type], [200, 'text/xml; charset=UTF-8'])
      assert.match(
        text,
        /^<\?xml [^>]*\?><listserviceofferingsresponse cloud-stack-version="4\.\d+\.\d+\.\d+"><count>4<\/count>/,
      )
      assert.equal(text.match(/<serviceoffering>/g)?.length, 4)
      const error = await get(sign({ command: 'startVirtualMachine' }))
      assert.equal(error.status, 431)
      assert.match(error.text, /^<\?xml [^>]*\?><startvirtualmachineresponse [^>]*>.*<errorcode>431<\/errorcode>/)
    })

    test('with an empty object when a list is empty, and with a mere count past its end', async () => {
      const listed = (set: Fields) => get(sign({ command: 'listVirtualMachines', response: 'json', ...set }))
      assert.deepEqual((await listed({})).json, { listvirtualmachinesresponse: {} })
      const machine = await deployOff('only')
      assert.deepEqual((await listed({ page: 9, pagesize: 5 })).json, { listvirtualmachinesresponse: { count: 1 } })
      await world().expunge(machine)
    })

    test('errors with their code as HTTP status, and an explanation', async () => {
      const { status, json, headers } = await get(sign({ command: 'stopVirtualMachine', response: 'json', id: 'x' }))
      const error = json['stopvirtualmachineresponse'] as Fields
      assert.equal(status, 431)
      assert.deepEqual([error['errorcode'], error['cserrorcode'], error['uuidList']], [431, 4350, []])
      assert.equal(error['errortext'], 'Parameter id must be a UUID; "x" is none')
      assert.equal(decodeURI(headers.get('x-description') ?? ''), error['errortext'])
    })

    test('that a call which nobody signed, or signed too long ago, is not verified', async () => {
      const zones = { command: 'listZones', response: 'json' }
      const anHourAgo = new Date(Date.now() - 3_600_000)
      const altered = sign(zones)
      altered.set('listall', 'true')
      for (const form of [new URLSearchParams(zones), sign(zones, anHourAgo), altered]) {
        const { status, json } = await get(form)
        assert.equal(status, 401)
        assert.match(String((json['listzonesresponse'] as Fields)['errortext']), /^unable to verify user credentials/)
      }
    })

    test('that a command is unknown', async () => {
      const { status, json } = await get(sign({ command: 'makeCoffee', response: 'json' }))
      assert.equal(status, 401)
      assert.match(String((json['errorresponse'] as Fields)['errortext']), /makeCoffee/)
    })

    test('what commands there are: every one, with parameters and answer', async () => {
      const apis = await list(world().client, 'listApis', 'api', { listall: true })
      const listed = apis.map(each => each['name'])
      const missing = [...commands.map(({ name }) => name), 'login', 'logout'].filter(name => !listed.includes(name))
      assert.deepEqual(missing, [])
      for (const { name, params, response, isasync } of apis) {
        assert.ok(Array.isArray(params) && Array.isArray(response), String(name))
        assert.equal(typeof isasync, 'boolean')
        for (const parameter of params as Fields[]) assert.equal(typeof parameter['required'], 'boolean')
      }
      assert.equal((await list(world().client, 'listApis', 'api', { name: 'deployVirtualMachine' })).length, 1)
    })
  })

  describe('a session', () => {
    const login = (set: Fields = {}) =>
      new URLSearchParams({
        command: 'login',
        username: admin.username,
        password: admin.password,
        domain: '/',
        response: 'json',
        ...set,
      } as Record<string, string>)

    async function opened(): Promise<{ cookie: string; sessionkey: string }> {
      const { status, json, headers } = await post(login())
      assert.equal(status, 200)
      const cookies = headers.getSetCookie()
      for (const each of cookies) assert.match(each, /HttpOnly/)
      const { sessionkey, username, type } = json['loginresponse'] as Record<string, string>
      assert.deepEqual([username, type], ['admin', '1'])
      return { cookie: cookies.map(each => each.split(';')[0]).join('; '), sessionkey: sessionkey ?? '' }
    }

    const zones = (sessionkey?: string) =>
      new URLSearchParams({ command: 'listZones', response: 'json', ...(sessionkey && { sessionkey }) })

    test('begins with a POST that has the right password', async () => {
      assert.equal((await get(login())).status, 405)
      for (const wrong of [{ password: 'wrong' }, { username: 'nobody' }, { domain: '/elsewhere' }]) {
        const { status, headers } = await post(login(wrong))
        assert.equal(status, 531)
        assert.deepEqual(headers.getSetCookie(), [])
      }
      const { cookie, sessionkey } = await opened()
      assert.equal((await get(zones(sessionkey), { cookie })).status, 200)
      assert.equal((await post(zones(sessionkey), { cookie })).status, 200)
    })

    test('needs cookie and parameter both, and ends when one is missing', async () => {
      const { cookie, sessionkey } = await opened()
      assert.equal((await get(zones(sessionkey))).status, 401)
      assert.equal((await get(zones(sessionkey), { cookie })).status, 200)
      assert.equal((await get(zones(), { cookie })).status, 401)
      assert.equal((await get(zones(sessionkey), { cookie })).status, 401)
    })

    test('calls an unknown command unsupported, so that no client logs out', async () => {
      const { cookie, sessionkey } = await opened()
      const unknown = new URLSearchParams({ command: 'makeCoffee', response: 'json', sessionkey })
      assert.equal((await get(unknown, { cookie })).status, 432)
      assert.equal((await get(zones(sessionkey), { cookie })).status, 200)
    })

    test('ends with logout, which needs none', async () => {
      const { cookie, sessionkey } = await opened()
      const logout = new URLSearchParams({ command: 'logout', response: 'json' })
      assert.deepEqual((await get(logout, { cookie })).json, { logoutresponse: { description: 'success' } })
      assert.equal((await get(zones(sessionkey), { cookie })).status, 401)
      assert.equal((await get(logout)).status, 200)
    })
  })

  describe('a job', () => {
    test('is described by the same fields while it runs and when it has ended', async () => {
      const answer = await world().client.call('deployVirtualMachine', {
        zoneid: world().zone,
        serviceofferingid: world().offering,
        templateid: template,
        name: 'described',
        startvm: false,
      })
      assert.deepEqual(Object.keys(answer).toSorted(), ['id', 'jobid'])
      const job = await ended(answer['jobid'] as string)
      const { jobresult, created, completed, account } = job as {
        jobresult: Fields
        created: string
        completed: string
        account: string
      }
      assert.deepEqual(
        [job['jobstatus'], job['jobprocstatus'], job['jobresultcode'], job['jobresulttype'], job['cmd']],
        [1, 0, 0, 'object', 'deployVirtualMachine'],
      )
      assert.deepEqual([job['jobinstancetype'], job['jobinstanceid']], ['VirtualMachine', answer['id']])
      assert.deepEqual(Object.keys(jobresult), ['virtualmachine'])
      assert.equal((jobresult['virtualmachine'] as Fields)['id'], answer['id'])
      for (const time of [created, completed]) assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}$/)
      assert.equal(account, 'admin')

      const { jobid } = await world().client.call('rebootVirtualMachine', { id: answer['id'] as string })
      const failed = await ended(jobid as string)
      const problem = failed['jobresult'] as Fields
      assert.deepEqual([failed['jobstatus'], failed['jobresultcode'], problem['errorcode']], [2, 431, 431])
      assert.match(String(problem['errortext']), /described is Stopped/i)
      await world().expunge({ id: answer['id'] as string })
    })

    test('tells its beginning, middle and end as events of one operation', async () => {
      const { id } = await deployOff('eventful')
      const events = await list(world().client, 'listEvents', 'event', { resourceid: id, type: 'VM.CREATE' })
      assert.deepEqual(
        events.map(event => event['state']),
        ['Completed', 'Started', 'Scheduled'],
      )
      const start = events.at(-1)?.['id'] as string
      assert.deepEqual(
        events.map(event => event['parentid']),
        [start, start, undefined],
      )
      const all = await list(world().client, 'listEvents', 'event', { startid: start })
      for (const event of events) assert.ok(all.some(each => each['id'] === event['id']))
      await world().expunge({ id })
    })

    test('is not tried again when it is not stuck, and not cancelled when it has ended', async () => {
      const machine = await deployOff('done')
      const [job] = await list(world().client, 'listAsyncJobs', 'asyncjobs', { resourceid: machine.id })
      const jobid = job?.['jobid'] as string
      const refused = (message: RegExp) => ({ errorcode: 431, message })
      await assert.rejects(
        world().client.call('retryJob', { jobid }),
        refused(/is done; only a stuck job is tried again/),
      )
      await assert.rejects(world().client.call('cancelJob', { jobid }), refused(/has ended already: it is done/))
      await world().expunge(machine)
    })

    test('that fetches a template can be cancelled, and leaves no file', async () => {
      await world().client.call('updateConfiguration', { name: 'allow.register.private.address', value: true })
      const web = createServer(
        (_, response) => void response.writeHead(200, { 'content-length': 2 ** 20 }).write('QFI\u00fb'),
      )
      await once(web.listen(0, '127.0.0.1'), 'listening')
      try {
        const url = `http://127.0.0.1:${(web.address() as AddressInfo).port}/endless.qcow2`
        const id = await world().startRegister('', 'endless', { url })
        const secondary = join(cloud.dataDir, 'secondary/templates')
        await eventually('the download begins', async () => (await readdir(secondary)).length > 1)
        const jobid = (await world().template(id))['jobid'] as string
        await world().client.call('cancelJob', { jobid })
        assert.equal((await ended(jobid))['jobstatus'], 3)
        assert.match(String((await world().template(id))['status']), /^Failed: Cancelled on request/)
        assert.deepEqual(await readdir(secondary), [`${template}.qcow2`])
        await world().deleteTemplate(id)
      } finally {
        web.close()
        web.closeAllConnections()
      }
    })

    test('that copies a large disk can be cancelled, and what it did is undone', async () => {
      const { client } = world()
      const earlier = await cloud.layerFiles()
      const { id: slow } = await world().registerTemplate(await diskOf(768), { name: 'slow' })

      await client.call('prepareTemplate', { zoneid: world().zone, templateid: slow })
      const [copy] = await list(client, 'listAsyncJobs', 'asyncjobs', { resourceid: slow, keyword: 'prepareTemplate' })
      await cancelAt('seed', copy?.['jobid'] as string)
      assert.deepEqual(await cloud.layerFiles(), earlier)

      const wanted = {
        zoneid: world().zone,
        serviceofferingid: world().offering,
        templateid: slow,
        name: 'slow',
        clonetype: 'full',
        rootdisksize: 1, // another size than the template's: such a copy shares no blocks, on any file system
      }
      const { id, jobid } = (await client.call('deployVirtualMachine', wanted)) as { id: string; jobid: string }
      await cancelAt('make-disks', jobid)
      const [machine] = await list(client, 'listVirtualMachines', 'virtualmachine', { id })
      assert.deepEqual([machine?.['state'], machine?.['error']], ['Error', 'Cancelled on request'])
      assert.equal((await cloud.layerFiles()).length, earlier.length + 1) // the template's copy stays, for others
      assert.deepEqual(await cloud.machineFolders(), [])

      await client.run('destroyVirtualMachine', { id })
      await world().deleteTemplate(slow)
      assert.deepEqual(await cloud.layerFiles(), earlier)
      assert.match((await cloud.cli('doctor')).stdout, /^Database, files and processes agree\.\n/)
    })

    test('that copies a template which is deleted meanwhile leaves no copy', async () => {
      const earlier = await cloud.layerFiles()
      const { id } = await world().registerTemplate(await diskOf(256), { name: 'short-lived' })
      await world().client.call('prepareTemplate', { zoneid: world().zone, templateid: id })
      await eventually('the copy begins', async () => (await cloud.layerFiles()).length > earlier.length)
      await world().deleteTemplate(id)
      assert.deepEqual(await cloud.layerFiles(), earlier)
      assert.match((await cloud.cli('doctor')).stdout, /^Database, files and processes agree\.\n/)
    })

    /** An image of so many MiB, all of which has to be copied. */
    async function diskOf(size: number): Promise<string> {
      const file = join(cloud.folder, `full-${size}.qcow2`)
      await run('qemu-img', ['create', '-q', '-f', 'qcow2', file, `${size}M`])
      await run('qemu-io', ['-f', 'qcow2', '-c', `write -q -P 7 0 ${size}M`, file])
      return file
    }

    /** Cancels the job while it is at `step`, and waits until what it did is undone. */
    async function cancelAt(step: string, jobid: string): Promise<void> {
      const job = await eventually(`the job is at ${step}`, async () => {
        const found = await query(jobid)
        assert.equal(found['jobstatus'], 0)
        return found['jobstep'] === step && found
      })
      assert.deepEqual([job['jobresultcode'], job['jobresult'], job['completed']], [0, undefined, undefined])
      assert.deepEqual(await world().client.call('cancelJob', { jobid }), { success: true })
      assert.equal((await ended(jobid))['jobstatus'], 3)
    }

    const query = (jobid: string) => world().client.call('queryAsyncJobResult', { jobid })

    async function ended(jobid: string): Promise<Fields> {
      return eventually('the job ends', async () => {
        const job = await query(jobid)
        return job['jobstatus'] !== 0 && job
      })
    }
  })

  test('/events tells a change as soon as it is made', async () => {
    const machine = await deployOff('watched')
    const gone = new AbortController()
    const stream = await fetch(`${cloud.server.url}/events?${sign({}).toString()}`, { signal: gone.signal })
    assert.equal(stream.headers.get('content-type'), 'text/event-stream; charset=utf-8')
    await world().client.call('updateVirtualMachine', { id: machine.id, displayname: 'seen' })
    let heard = ''
    for await (const chunk of (stream.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream())) {
      heard += chunk
      if (changesIn(heard).some(({ table, op, id }) => table === 'vm' && op === 'update' && id === machine.id)) break
    }
    gone.abort()
    assert.equal((await fetch(`${cloud.server.url}/events`)).status, 401)
    await world().expunge(machine)
  })

  test('a second server on the same data is refused, and says whose they are', async () => {
    const { pid } = cloud.server.child
    await assert.rejects(
      startServer(cloud.dataDir),
      new RegExp(`Another Ramet server, process ${pid}, is using .*; stop it first`),
    )
    assert.equal((await list(world().client, 'listZones', 'zone')).length, 1)
    assert.ok(!(await readFile(cloud.logFile, 'utf8')).includes('    at '), 'a refusal shows no stack')
  })

  describe('the command line', () => {
    test('prints a table for people', async () => {
      assert.deepEqual(await cloud.cli('listVirtualMachines'), { code: 0, stdout: 'None\n', stderr: '' })
      const { code, stdout } = await cloud.cli(
        'deployVirtualMachine',
        `zoneid=${world().zone}`,
        `serviceofferingid=${world().offering}`,
        `templateid=${template}`,
        'name=typed',
        'startvm=false',
      )
      assert.equal(code, 0)
      assert.match(stdout, /typed/)
      const [head, row, ...rest] = (await cloud.cli('listVirtualMachines')).stdout.trimEnd().split('\n')
      assert.match(head ?? '', /name .*state/i)
      assert.match(row ?? '', /typed .*Stopped/)
      assert.deepEqual(rest, [])
    })

    test('prints JSON for programs', async () => {
      const { code, stdout } = await cloud.cli('listVirtualMachines', 'details=min', '--json')
      assert.equal(code, 0)
      const { count, virtualmachine } = JSON.parse(stdout) as { count: number; virtualmachine: Fields[] }
      assert.deepEqual([count, virtualmachine[0]?.['name']], [1, 'typed'])
    })

    test('fails with one line that says what to do', async () => {
      const fails = async (words: string[], message: RegExp) => {
        const { code, stdout, stderr } = await cloud.cli(...words)
        assert.equal(code, 1)
        assert.equal(stdout, '')
        assert.match(stderr, message)
        assert.ok(stderr.trim().split('\n').length === 1, stderr)
      }
      await fails(['startVirtualMachine', 'id=x'], /Parameter id must be a UUID/)
      await fails(['listVirtualMachine'], /There is no command listVirtualMachine\. Did you mean listVirtualMachines/)
      await fails(['listZones', 'zone'], /"zone" is not a parameter; write NAME=VALUE/)
      await fails(['deployVirtualMachine'], /Parameter templateid is missing, or vmsnapshotid is/)
    })

    test('says so when no server answers', async () => {
      await cloud.server.end('SIGTERM')
      const { code, stderr } = await cloud.cli('listZones')
      assert.equal(code, 1)
      assert.match(stderr, /No Ramet server answers at http:\/\/127\.0\.0\.1:\d+/)
    })
  })
})

interface Answer {
  readonly status: number
  readonly type: string
  readonly text: string
  readonly json: Fields
  readonly headers: Headers
}

async function answerOf(response: Response): Promise<Answer> {
  const type = response.headers.get('content-type') ?? ''
  const text = await response.text()
  return {
    status: response.status,
    type,
    text,
    json: type.includes('json') ? (JSON.parse(text) as Fields) : {},
    headers: response.headers,
  }
}

/** The changes that a stream of server-sent events has told so far. */
function changesIn(stream: string): Fields[] {
  const told = [...stream.matchAll(/^event: change\ndata: (.*)\n\n/gm)]
  return told.map(([, data]) => JSON.parse(data ?? '') as Fields)
}
