import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import { ApiError, Unreachable } from './api-error.ts'
import { createClient } from './client.ts'
import { flatten } from './parameters.ts'
import { signatureOf, signed, textToSign } from './sign.ts'

const keys = { apikey: 'a-key', secretkey: 'a secret' }

test('the text to sign is sorted, encoded as Java does, and in lower case', () => {
  const signedText = textToSign(
    new Map([
      ['tags[0].Key', "it's (a) *"],
      ['command', 'listZones'],
      ['Keyword', 'Ä b+c~'],
    ]),
  )
  assert.equal(signedText, 'command=listzones&keyword=%c3%84%20b%2bc~&tags[0].key=it%27s%20%28a%29%20*')
})

test('a signature is what openssl makes of the same text', () => {
  const lines = 'apikey=a-key&command=listzones&response=json'
  const parameters = new Map([
    ['response', 'json'],
    ['command', 'listZones'],
    ['apikey', 'a-key'],
  ])
  const mac = execFileSync('openssl', ['dgst', '-sha1', '-hmac', keys.secretkey, '-binary'], { input: lines })
  assert.equal(signatureOf(parameters, keys.secretkey), mac.toString('base64'))
})

test('a signed call expires ten minutes later, and says so as CloudStack writes time', () => {
  const form = signed(new Map([['command', 'listZones']]), keys, new Date('2030-01-31T11:50:00.123Z'))
  assert.equal(form.get('expires'), '2030-01-31T12:00:00+0000')
  assert.equal(form.get('signatureversion'), '3')
  assert.equal(form.get('apikey'), 'a-key')
})

test('parameters of every shape become flat names', () => {
  const flat = flatten({
    count: 2,
    listall: true,
    ids: ['a', 'b'],
    details: [{ k: 'v' }, { cpu: 2 }],
    tags: { x: 1 },
    no: undefined,
  })
  const wanted = {
    count: '2',
    listall: 'true',
    ids: 'a,b',
    'details[0].k': 'v',
    'details[1].cpu': '2',
    'tags[0].x': '1',
  }
  assert.deepEqual(Object.fromEntries(flat), wanted)
})

type Answer = { status?: number; body: unknown }

/** A client of a server that gives `answers` in turn, the last one for ever; `asked` is what it was asked. */
async function aClient(t: TestContext, answers: Answer[]) {
  const asked: URLSearchParams[] = []
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    asked.push(new URLSearchParams(await text(request)))
    const { status = 200, body } = (answers.length > 1 ? answers.shift() : answers[0]) ?? { body: {} }
    response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body))
  }
  const server = createServer((request, response) => void answer(request, response)).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${portOf(server)}`
  return { client: createClient({ url, ...keys }), asked }
}

function portOf(server: Server): number {
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return address.port
}

test('an answer is taken out of its envelope, and the call was signed', async t => {
  const { client, asked } = await aClient(t, [{ body: { listzonesresponse: { count: 1 } } }])
  assert.deepEqual(await client.call('listZones', { listall: true }), { count: 1 })
  const { signature, ...rest } = Object.fromEntries(asked[0] ?? [])
  assert.equal(signature, signatureOf(new Map(Object.entries(rest)), keys.secretkey))
  assert.equal(rest.response, 'json')
})

test('a refusal carries its codes and its sentence', async t => {
  const body = { createvolumeresponse: { errorcode: 431, cserrorcode: 4350, errortext: 'No such zone' } }
  const { client } = await aClient(t, [{ status: 431, body }])
  const wanted = { name: 'ApiError', httpStatus: 431, errorcode: 431, cserrorcode: 4350, message: 'No such zone' }
  await assert.rejects(client.call('createVolume'), wanted)
})

test('an answer that is no JSON is an error that shows it', async t => {
  const { client } = await aClient(t, [{ status: 502, body: 'Bad Gateway' }])
  await assert.rejects(client.call('listZones'), { httpStatus: 502, message: /HTTP 502 Bad Gateway/ })
})

const started: Answer = { body: { deployvirtualmachineresponse: { id: 'vm', jobid: 'job' } } }
const job = (fields: object): Answer => ({ body: { queryasyncjobresultresponse: { jobid: 'job', ...fields } } })

test('a job is waited for, and each change of its progress is told once', async t => {
  const under = { jobstatus: 0, jobprogress: 40, jobstep: 'copy' }
  const done = job({ jobstatus: 1, jobresult: { virtualmachine: { id: 'vm' } } })
  const { client, asked } = await aClient(t, [started, job(under), job(under), done])
  const told: unknown[] = []
  const result = await client.run('deployVirtualMachine', {}, progress => told.push(progress))
  assert.deepEqual(result, { virtualmachine: { id: 'vm' } })
  assert.deepEqual(told, [{ percent: 40, step: 'copy' }])
  assert.equal(asked.at(-1)?.get('jobid'), 'job')
})

test('a job that fails is thrown with what its result says', async t => {
  const failed = job({ jobstatus: 2, jobresultcode: 533, jobresult: { errorcode: 533, errortext: 'No host fits' } })
  const { client } = await aClient(t, [started, failed])
  await assert.rejects(client.run('deployVirtualMachine'), { httpStatus: 200, errorcode: 533, message: 'No host fits' })
})

test('a job that was cancelled says so', async t => {
  const { client } = await aClient(t, [started, job({ jobstatus: 3, jobresultcode: 530 })])
  const error = await client.run('deployVirtualMachine').catch((caught: unknown) => caught)
  assert.ok(error instanceof ApiError)
  assert.match(error.message, /was cancelled/)
})

test('asking about a job does not wait for it', async t => {
  const { client } = await aClient(t, [job({ jobstatus: 0 })])
  assert.equal((await client.run('queryAsyncJobResult', { jobid: 'job' })).jobstatus, 0)
})

test('a server that is not there is told from one that refuses', async () => {
  const client = createClient({ url: 'http://127.0.0.1:1', ...keys })
  await assert.rejects(client.call('listZones'), Unreachable)
})
