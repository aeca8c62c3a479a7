// Images offered for download: an address that nobody can guess, for a while.
import assert from 'node:assert/strict'
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import fastify from 'fastify'
import { newId } from '@ramet/core/ids.ts'
import { sha256 } from '../secrets.ts'
import { downloadByToken, offerDownload } from '../store/downloads.ts'
import { call, callJob, administrator } from '../testing/call.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { aTemplate, type Lab, run, simulatedLab } from '../testing/lab.ts'
import { aLooseRoot } from '../testing/volumes.ts'
import { deleteTemplate } from '../jobs/delete-template.ts'
import { watchDownloads } from '../watch/downloads.ts'
import type { Answer } from './command.ts'
import { openDownloads } from './pages/downloads.ts'

describe('downloads', () => {
  let lab: Lab
  const http = fastify()
  before(async () => {
    lab = await simulatedLab()
    openDownloads(http, lab.app)
  })
  after(async () => {
    await http.close()
    await lab.close()
    await stopTestDatabase()
  })

  const extract = async (id: string) =>
    (await callJob(lab, 'extractTemplate', { id, mode: 'HTTP_DOWNLOAD' }))['template'] as Answer
  const fetched = (url: unknown) => http.inject(new URL(String(url)).pathname)

  test('a template is offered at an address of its own each time, and goes with the template', async () => {
    const id = await aTemplate(lab, { name: 'My "image"/1', is_extractable: true })
    const [one, other] = [await extract(id), await extract(id)]
    assert.notEqual(one['url'], other['url'])
    assert.match(String(one['url']), /\/download\/[\w-]{43}\/My-image-1\.qcow2$/)
    const answer = await fetched(one['url'])
    assert.deepEqual([answer.statusCode, answer.body, answer.headers['content-length']], [200, 'an image', '8'])
    assert.equal(answer.headers['content-disposition'], 'attachment; filename="My-image-1.qcow2"')
    await run(lab, deleteTemplate, { template: id })
    assert.equal((await fetched(one['url'])).statusCode, 404)
  })

  test('what nobody offered, or what has expired, is not there; files made for a download go with it', async () => {
    assert.equal((await http.inject('/download/guess/x')).statusCode, 404)
    const file = join(lab.directory, 'export.qcow2')
    await writeFile(file, 'bytes')
    const { account } = await administrator(lab)
    const download = {
      id: newId<'download'>(),
      tokenHash: sha256('t'),
      account: account.id,
      file,
      fileName: 'x',
      isTemporary: true,
    }
    await offerDownload(lab.app.db, { ...download, seconds: 60 })
    assert.equal((await http.inject('/download/t/x')).body, 'bytes')
    await lab.app.db
      .updateTable('download')
      .set({ expires: new Date(0) })
      .where('id', '=', download.id)
      .execute()
    assert.equal((await http.inject('/download/t/x')).statusCode, 404)
    const watch = watchDownloads(lab.app.db, lab.app.log)
    await watch.sweep()
    watch.close()
    await assert.rejects(stat(file), { code: 'ENOENT' })
  })

  test('a volume is offered once for each account: a new address ends the one before', async () => {
    const volume = await aLooseRoot(lab)
    const { zone_id } = await lab.app.db.selectFrom('volume').select('zone_id').executeTakeFirstOrThrow()
    const offer = async () => {
      const { volume: made } = await callJob(lab, 'extractVolume', {
        id: volume,
        mode: 'HTTP_DOWNLOAD',
        zoneid: zone_id,
      })
      return sha256(
        String((made as Answer)['url'])
          .split('/')
          .at(-2) ?? '',
      )
    }
    const [first, second] = [await offer(), await offer()]
    assert.equal(await downloadByToken(lab.app.db, first), undefined)
    assert.ok(await downloadByToken(lab.app.db, second))
  })

  test('one that is not extractable is for administrators only', async () => {
    const admin = await administrator(lab)
    const id = await aTemplate(lab, { is_extractable: false, account_id: admin.account.id })
    const owner = { ...admin, account: { ...admin.account, type: 'User' as const } }
    await assert.rejects(call(lab, 'extractTemplate', { id, mode: 'HTTP_DOWNLOAD' }, owner), {
      code: 'not-extractable',
    })
    assert.ok((await extract(id))['url'])
  })
})
