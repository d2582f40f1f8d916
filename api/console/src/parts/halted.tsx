// A view that has halted cannot fold a record: what it tells is of before it. The pages that are answered from it say so, and how it is passed over.
import { asked, useGet } from '../api'
import { state as live } from '../live'
import { knownAt, to } from '../router'
import { t } from '../text'
import type { Page, ViewStatus } from '../types'
import { Copy, Position } from './bits'

// matching is what fits the paths of a route as the API writes them, such as /api/v1/models/{model} or /api/v1/log/streams/{stream...}.
const matching = (route: string): RegExp => new RegExp(`^${route.split(/(\{[^}]*\})/).map(p => (/^\{.*\.\.\.\}$/.test(p) ? '.+' : p === '{$}' ? '' : p.startsWith('{') ? '[^/]+' : p.replaceAll(/[.*+?^$()[\]\\|]/g, '\\$&'))).join('')}$`)

const frame = '/api/v1/log/histogram' // is what the bar asks for, of every page

// readBy are the views of which a page has asked something, as it is now.
export function readBy<V extends { answers?: string[] }>(views: V[], addresses: Iterable<string>): V[] {
	const paths = [...addresses].map(a => new URL(a, location.origin)).filter(a => !a.searchParams.get('known_at') && a.pathname !== frame).map(a => a.pathname)
	return views.filter(v => (v.answers ?? []).map(matching).some(route => paths.some(p => route.test(p))))
}

export function Halted() {
	const trouble = !live.value.ready && knownAt.value === ''
	const got = useGet<Page<ViewStatus>>(trouble ? `/api/v1/views` : null, { views: ['log', 'views'] })
	if (!trouble) return null
	const views = readBy((got.data?.items ?? []).filter(v => v.halted_at), asked.value.keys())
	const places = Map.groupBy(views, v => v.halted_at ?? '')
	return (
		<>
			{[...places].map(([at, list]) => {
				const command = list.some(v => v.unread) ? `projectionist views skip --all ${at} --reason "…"` : list.map(v => `projectionist views skip ${v.view} ${at} --reason "…"`).join('\n')
				return (
					<div key={at} class="fault halted" role="alert" data-halted={at}>
						<b>✕ {t.haltedViews(list.map(v => v.view).join(', '))} <Position at={at} /></b>
						<p>{t.haltedTells}</p>
						<p class="dim clamp" title={list[0]?.error}>{list[0]?.error}</p>
						<p class="hint">{t.haltedSkip} <a href={to(['system'])}>{t.system}</a></p>
						<pre>{command}</pre> <Copy text={command} />
					</div>
				)
			})}
		</>
	)
}
