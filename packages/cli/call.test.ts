import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'

const main = join(import.meta.dirname, 'main.ts')

/** Runs the command line as the launcher does. */
function ramet(args: string[], env: Record<string, string> = {}) {
  return new Promise<{ code: number; out: string; err: string }>(resolve => {
    execFile(process.execPath, [main, ...args], { env: { ...process.env, ...env } }, (error, out, err) =>
      resolve({ code: error ? Number(error.code) : 0, out, err }),
    )
  })
}

const answers: Record<string, [status: number, body: object]> = {
  listZones: [200, { listzonesresponse: { count: 1, zone: [{ name: 'here', id: 'z1' }] } }],
  listApis: [200, { listapisresponse: { api: [{ name: 'listZones' }, { name: 'listHosts' }] } }],
  startVirtualMachine: [200, { startvirtualmachineresponse: { jobid: 'j' } }],
  listVMSnapshot: [
    200,
    {
      listvmsnapshotresponse: {
        count: 2,
        vmSnapshot: ['a', 'b'].map(displayname => ({ displayname, state: 'Ready', warning: '2 of at most 4' })),
      },
    },
  ],
  deleteVMSnapshot: [200, { deletevmsnapshotresponse: { jobid: 'deletion' } }],
  'queryAsyncJobResult deletion': [
    200,
    {
      queryasyncjobresultresponse: {
        jobstatus: 1,
        jobresult: {
          success: true,
          removals: ['merged', 'not-merged'].map(jobid => ({ jobid, jobstatus: 0, jobprogress: 0, bytes: 2 ** 20 })),
        },
      },
    },
  ],
  'queryAsyncJobResult merged': [200, { queryasyncjobresultresponse: { jobstatus: 1, jobprogress: 100 } }],
  'queryAsyncJobResult not-merged': [
    200,
    { queryasyncjobresultresponse: { jobstatus: 2, jobprogress: 1, jobresult: { errortext: 'The pool is full' } } },
  ],
  queryAsyncJobResult: [
    200,
    {
      queryasyncjobresultresponse: {
        jobstatus: 2,
        jobresultcode: 533,
        jobresult: { errorcode: 533, errortext: 'No host fits' },
      },
    },
  ],
}
const unknown: [number, object] = [401, { errorresponse: { errorcode: 401, errortext: 'unable to verify' } }]

/** A data directory whose server gives the answers above. */
async function aDataDir(t: TestContext): Promise<string> {
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const form = await text(request)
    const given = new URLSearchParams(form)
    const command = given.get('command') ?? ''
    const [status, body] = answers[`${command} ${given.get('jobid')}`] ?? answers[command] ?? unknown
    response.writeHead(status).end(JSON.stringify(body))
  }
  const server = createServer((request, response) => void answer(request, response)).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  const url = `http://127.0.0.1:${portOf(server)}`
  const folder = await mkdtemp(join(tmpdir(), 'ramet-cli-'))
  await writeFile(
    join(folder, 'admin.json'),
    JSON.stringify({ url, username: 'admin', password: 'p', apikey: 'k', secretkey: 's' }),
  )
  t.after(async () => {
    server.closeAllConnections()
    server.close()
    await rm(folder, { recursive: true })
  })
  return folder
}

function portOf(server: Server): number {
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return address.port
}

test('a list is printed as a table, or as it came with --json', async t => {
  const folder = await aDataDir(t)
  assert.deepEqual(await ramet(['listZones', '--data-dir', folder]), { code: 0, out: 'NAME  ID\nhere  z1\n', err: '' })
  const { out } = await ramet(['listZones', '--json'], { RAMET_DATA_DIR: folder })
  assert.deepEqual(JSON.parse(out), { count: 1, zone: [{ name: 'here', id: 'z1' }] })
})

test('a command that does not exist is answered with one that does', async t => {
  const { code, err } = await ramet(['listZone'], { RAMET_DATA_DIR: await aDataDir(t) })
  assert.equal(code, 1)
  assert.equal(err, 'There is no command listZone. Did you mean listZones?\n')
})

test('a job that fails ends with its sentence and exit code 1', async t => {
  const { code, out, err } = await ramet(['startVirtualMachine', 'id=1'], { RAMET_DATA_DIR: await aDataDir(t) })
  assert.deepEqual({ code, out, err }, { code: 1, out: '', err: 'No host fits (error 533)\n' })
})

test('a deletion is followed until its layers are merged, and what was not is told', async t => {
  const { code, out, err } = await ramet(['deleteVMSnapshot', 'vmsnapshotid=1'], { RAMET_DATA_DIR: await aDataDir(t) })
  assert.deepEqual({ code, out }, { code: 0, out: 'Done\n' })
  assert.equal(
    err,
    'merging 2 MiB of disk layers, which goes on without this command\nWarning: A disk layer was not merged, and it will be tried again: The pool is full\n',
  )
})

test('what objects warn of is told once', async t => {
  const { out, err } = await ramet(['listVMSnapshot'], { RAMET_DATA_DIR: await aDataDir(t) })
  assert.match(out, /^DISPLAYNAME +STATE\na +Ready\nb +Ready$/m)
  assert.equal(err, 'Warning: 2 of at most 4\n')
})

test('without a server there is a sentence that says how to start one', async () => {
  const refused = await ramet(['listZones', '--url', 'http://127.0.0.1:1'], { RAMET_APIKEY: 'k', RAMET_SECRETKEY: 's' })
  assert.equal(refused.code, 1)
  assert.match(refused.err, /No Ramet server answers .* \.\/ramet serve/)
  assert.match(
    (await ramet(['listZones', '--url', 'here'], { RAMET_APIKEY: 'k', RAMET_SECRETKEY: 's' })).err,
    /"here" is not the URL/,
  )
  assert.match((await ramet(['listZones', '--data-dir', '/none'])).err, /No server has kept its data in \/none/)
})

test('no words, and help, print the help', async () => {
  for (const args of [[], ['help'], ['--help']]) assert.match((await ramet(args)).out, /\.\/ramet demo/)
})
