// GET /download/TOKEN/NAME: a file that somebody asked to have extracted. Whoever has the address may fetch it until it expires;
// the token is all the protection there is, so it is long, random, and in the database only as a hash.
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { FastifyInstance } from 'fastify'
import type { App } from '../../app.ts'
import { sha256 } from '../../secrets.ts'
import { downloadByToken } from '../../store/downloads.ts'

export function openDownloads(server: FastifyInstance, app: App): void {
  server.get<{ Params: { token: string; name: string } }>('/download/:token/:name', async ({ params }, reply) => {
    const download = await downloadByToken(app.db, sha256(params.token))
    const file = download && (await open(download.file, constants.O_RDONLY | constants.O_NOFOLLOW).catch(() => null))
    if (!download || !file)
      return reply.code(404).type('text/plain').send('There is no such download, or it has expired.\n')
    const { size } = await file.stat()
    return reply
      .headers({
        'content-length': size,
        'content-disposition': `attachment; filename="${download.file_name}"`,
        'cache-control': 'no-store',
      })
      .type('application/octet-stream')
      .send(file.createReadStream())
  })
}
