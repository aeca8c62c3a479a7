// A picture of how times grow, as SVG: one chart for what grows with the guest's memory, one for what grows with the number of machines.

export interface Line {
  readonly name: string
  /** What x counts; lines of one kind share a chart. */
  readonly along: 'memory (MiB)' | 'machines'
  /** x, and milliseconds. */
  readonly points: readonly (readonly [number, number])[]
}

const size = { width: 640, height: 320, left: 70, right: 20, top: 30, bottom: 50 }
const colours = ['#1f5fa8', '#c0392b', '#2e8b57', '#8e44ad', '#d68910']

export function plot(lines: readonly Line[]): string {
  const kinds = [...new Set(lines.map(({ along }) => along))]
  const charts = kinds.map((along, index) => {
    const of = lines.filter(line => line.along === along)
    return `<g transform="translate(0 ${index * size.height})">${chart(along, of)}</g>`
  })
  const height = Math.max(1, kinds.length) * size.height
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${size.width}" height="${height}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
${charts.join('\n')}
</svg>
`
}

function chart(along: string, lines: readonly Line[]): string {
  const points = lines.flatMap(line => line.points)
  const [most, highest] = [0, 1].map(axis => Math.max(1, ...points.map(point => point[axis] ?? 0))) as [number, number]
  const x = (value: number) => size.left + (value / most) * (size.width - size.left - size.right)
  const y = (value: number) => size.height - size.bottom - (value / highest) * (size.height - size.top - size.bottom)
  const ground = y(0)
  const ticks = [...new Set(points.map(([at]) => at))].map(
    at => `<text x="${x(at)}" y="${ground + 16}" text-anchor="middle">${at}</text>`,
  )
  const heights = [0, highest / 2, highest].map(
    ms =>
      `<text x="${size.left - 6}" y="${y(ms) + 4}" text-anchor="end">${ms.toFixed(0)} ms</text><path d="M${size.left} ${y(ms)}H${size.width - size.right}" stroke="#ddd"/>`,
  )
  const drawn = lines.map((line, index) => {
    const colour = colours[index % colours.length]
    const path = line.points.map(([at, ms]) => `${x(at).toFixed(1)},${y(ms).toFixed(1)}`).join(' ')
    const dots = line.points.map(([at, ms]) => `<circle cx="${x(at).toFixed(1)}" cy="${y(ms).toFixed(1)}" r="3"/>`)
    const name = `<text x="${size.left + 8}" y="${size.top - 12 + index * 14}">${escaped(line.name)}</text>`
    return `<g fill="${colour}"><polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>${dots.join('')}${name}</g>`
  })
  const title = `<text x="${size.width / 2}" y="${size.height - 12}" text-anchor="middle">${escaped(along)}</text>`
  return [...heights, ...ticks, ...drawn, title].join('\n')
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
