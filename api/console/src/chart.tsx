// Curves, as they are given.
import uPlot from 'uplot'
import { useEffect, useRef } from 'preact/hooks'
import { figure } from './format'
import { theme } from './settings'
import { t } from './text'

export interface Curve { name: string; steps: number[]; values: number[] }

const dashes = [[], [6, 3], [2, 2], [10, 3, 2, 3], [1, 3], [12, 4]]

// token is a colour as the theme has it now: a canvas knows no light-dark().
function token(name: string): string {
	const probe = document.createElement('i')
	probe.style.color = `var(${name})`
	document.body.append(probe)
	const colour = getComputedStyle(probe).color
	probe.remove()
	return colour
}

export function Chart({ title, curves, note, height = 220 }: { title: string; curves: Curve[]; note: string; height?: number }) {
	const box = useRef<HTMLDivElement>(null)
	const look = theme.value
	useEffect(() => {
		const e = box.current
		if (!e) return
		let plot: uPlot | undefined
		const make = () => {
			plot?.destroy()
			const width = Math.max(200, e.clientWidth)
			const tables = curves.map(c => [c.steps, c.values.map(v => (Number.isFinite(v) ? v : null))] as [number[], (number | null)[]])
			const data = (tables.length === 0 ? [[]] : tables.length === 1 ? tables[0] : uPlot.join(tables as unknown as uPlot.AlignedData[])) as uPlot.AlignedData
			const axis = { stroke: token('--muted'), grid: { stroke: token('--hairline'), width: 1 }, ticks: { stroke: token('--hairline'), width: 1 }, font: '11px system-ui' }
			plot = new uPlot({
				width, height, legend: { live: true }, cursor: { sync: { key: 'runs' }, drag: { x: true, y: false } }, scales: { x: { time: false } },
				axes: [{ ...axis, values: (_, all) => all.map(v => figure(v)) }, { ...axis, size: 56, values: (_, all) => all.map(v => figure(v)) }],
				series: [{ label: t.step }, ...curves.map((c, i) => ({ label: c.name, stroke: i < 6 ? token(`--data-${i + 1}`) : token('--muted'), width: 1.5, dash: dashes[i % 6] ?? [], spanGaps: true, points: { show: c.steps.length < 60 }, value: (_: uPlot, v: number | null) => (v === null ? '–' : figure(v)) }))],
			}, data, e)
		}
		make()
		let width = e.clientWidth
		const watch = new ResizeObserver(() => { if (Math.abs(e.clientWidth - width) > 4) { width = e.clientWidth; make() } })
		watch.observe(e)
		return () => { watch.disconnect(); plot?.destroy() }
	}, [curves, look, height])
	const last = curves.map(c => `${c.name}: ${figure(c.values.at(-1))}`).join(', ')
	return <figure class="chart"><figcaption>{title} <span class="dim">{note}</span></figcaption><div ref={box} role="img" aria-label={`${title}; ${last}`} /></figure>
}
