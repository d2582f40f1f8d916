// Checks of the pages of features, quality and serving.
const { waitMillis } = require('./world.js')

module.exports = (check, w, { must, same }) => {
  const values = (movie, more = '') => `/ui/features/movie_features?key.movie_id=${movie}${more}&tab=values`
  const shown = page => page.locator('[data-row-of] table tbody tr').evaluateAll(rows => Object.fromEntries(rows.map(r => [r.cells[1].innerText, r.cells[2].title])))
  const text = v => (v === null || v === undefined ? '' : typeof v === 'object' ? JSON.stringify(v) : String(v))
  const movie = async () => (await w.get('/api/v1/movies?limit=5')).items[2].movie_id

  check('23 26 a row of features is what the API answers of both moments, and a late fact is struck out', async () => {
    const id = await movie()
    await w.act(21, id)
    const before = await w.cut()
    const late = await w.send('POST', '/api/v1/feedback', { user_id: '22', movie_id: id, interaction_type: 'like', timestamp: new Date(Date.now() - 3600_000).toISOString() })
    const asOf = new Date(Date.now() - 60_000).toISOString()
    const moments = { now: `&as_of=${asOf}`, then: `&as_of=${asOf}&known_at=${before}` }
    const counts = {}
    for (const [name, moment] of Object.entries(moments)) {
      const page = await w.open(values(id, moment))
      await page.locator('[data-row-of]').waitFor({ timeout: waitMillis })
      await w.settled(page)
      const want = (await w.get(`/api/v1/features/movie/${id}?view=movie_features${moment}`)).features
      const got = await shown(page)
      for (const [feature, v] of Object.entries(want)) same(got[feature], text(v), `${feature} as of ${name}`)
      counts[name] = Number(got.interaction_count)
      const struck = await page.locator('[data-too-late] li').allInnerTexts()
      same(struck.filter(s => s.includes(late.position)).length, name === 'then' ? 1 : 0, `late facts of ${name}`)
      if (name === 'then') must(await page.locator('[data-too-late] s').first().evaluate(e => getComputedStyle(e).textDecorationLine === 'line-through'), 'it is not struck out')
      await w.closeAll()
    }
    same(counts.now, counts.then + 1, 'what was known now and then')
    return `${counts.then} known then, ${counts.now} now`
  })

  check('every value of a row leads to the event that made it', async () => {
    const page = await w.open(values(await movie()))
    await page.locator('[data-row-of]').waitFor({ timeout: waitMillis })
    const row = page.locator('[data-row-of] tbody tr').filter({ hasText: 'interaction_count' }).first()
    const position = await row.locator('td').last().innerText()
    await row.locator('td').last().locator('a').click()
    await page.locator('article.record').filter({ hasText: position }).waitFor({ timeout: waitMillis })
    return position
  })

  check('17 a fact of the film is told of where its values are read, and shown when it is asked for', async () => {
    const id = await movie()
    const page = await w.open(values(id, '&f=interaction_count'))
    await page.locator('[data-row-of]').waitFor({ timeout: waitMillis })
    await w.settled(page)
    await w.live(page)
    const before = Number((await shown(page)).interaction_count)
    await w.act(23, id)
    await page.locator('.news').waitFor({ timeout: waitMillis })
    same(Number((await shown(page)).interaction_count), before, 'what is read')
    await page.locator('.news').click()
    await page.waitForFunction(n => [...document.querySelectorAll('[data-row-of] tbody tr')].some(r => r.cells[1].innerText === 'interaction_count' && Number(r.cells[2].title) === n), before + 1, { timeout: waitMillis })
    // As of a time, too: its curve and its row are of the same moment.
    const asOf = await w.open(values(id, `&as_of=${new Date(Date.now() - 60_000).toISOString()}&f=interaction_count`))
    await asOf.locator('.chart canvas').first().waitFor({ timeout: waitMillis })
    await w.settled(asOf)
    await w.live(asOf)
    await w.send('POST', '/api/v1/feedback', { user_id: '24', movie_id: id, interaction_type: 'like', timestamp: new Date(Date.now() - 3600_000).toISOString() })
    await asOf.locator('.news').waitFor({ timeout: waitMillis })
    const again = asOf.waitForRequest(r => r.url().includes('/series?'), { timeout: waitMillis })
    await asOf.locator('.news').click()
    await again
  })

  check('14 curves of a feature over time, as known and as known then', async () => {
    const page = await w.open(values(await movie(), '&f=rating'))
    await page.locator('.chart canvas').first().waitFor({ timeout: waitMillis })
    await page.waitForFunction(() => document.querySelectorAll('.chart .u-legend .u-series').length === 3, null, { timeout: waitMillis })
    await page.locator('.chart .u-over').first().click()
    await page.waitForURL(/as_of=\d{4}-/, { timeout: waitMillis })
  })

  check('25 definitions: what changes is shown, applied once, and refused on a file that is another by now', async () => {
    const file = await (await fetch(`${w.base}/api/v1/features/definitions`, { headers: { Accept: 'application/yaml' } })).text()
    const history = async () => (await w.get('/api/v1/features/definitions/history?limit=1000')).items.length
    const before = await history()
    const page = await w.open('/ui/features', { expected: ['412', '409', '400'] })
    await w.settled(page)
    await page.getByRole('button', { name: 'Apply definitions' }).click()
    const area = page.locator('dialog[open] textarea')
    same(await area.inputValue(), file, 'the file')
    await area.fill('feature_views: 7\n')
    await page.getByRole('button', { name: 'Show what changes' }).click()
    await page.locator('dialog[open] .lines .removed').first().waitFor({ timeout: waitMillis })
    await w.pause(page, 700)
    await page.locator('dialog[open]').getByRole('button', { name: 'Apply definitions' }).click()
    await page.locator('dialog[open] .fault').waitFor({ timeout: waitMillis })
    same(await history(), before, 'definitions after a bad file')
    const hostile = w.hostile.img.replaceAll('"', '')
    await area.fill(`${file}# a comment\n`)
    await page.getByRole('button', { name: 'Show what changes' }).click()
    await w.pause(page, 700) // the other half of a double click would not count
    await page.locator('dialog[open]').getByRole('button', { name: 'Apply definitions' }).click()
    await page.locator('dialog[open] .fault').filter({ hasText: 'Nothing has changed' }).waitFor({ timeout: waitMillis })
    const with_ = (name, description) => file.replace('\nfeature_services:', `\n  - name: ${name}\n    entity: movie\n    description: '${description}'\n    features:\n      - {name: ${name}_count, type: int64, aggregation: count}\n\nfeature_services:`)
    await area.fill(with_('hostile', hostile))
    await page.getByRole('button', { name: 'Show what changes' }).click()
    await w.pause(page, 700)
    same((await page.locator('dialog[open] .lines .added').allInnerTexts()).length, 6, 'lines that are added')
    await page.locator('dialog[open]').getByRole('button', { name: 'Apply definitions' }).dblclick()
    await page.waitForFunction(() => !document.querySelector('dialog[open]'), null, { timeout: waitMillis })
    same(await history(), before + 1, 'definitions')
    // Whoever has the old file open does not overwrite it.
    await page.reload()
    await w.settled(page)
    await page.getByRole('button', { name: 'Apply definitions' }).click()
    await area.waitFor()
    const r = await fetch(`${w.base}/api/v1/features/definitions`, { method: 'POST', headers: { 'Content-Type': 'application/yaml' }, body: with_('others', 'of somebody else') })
    must(r.ok, `definitions are refused: ${r.status}`)
    await area.fill(with_('mine', 'of mine'))
    await page.getByRole('button', { name: 'Show what changes' }).click()
    await w.pause(page, 700)
    await page.locator('dialog[open]').getByRole('button', { name: 'Apply definitions' }).click()
    await page.locator('dialog[open] .fault').waitFor({ timeout: waitMillis })
    await page.keyboard.press('Escape')
    same(await history(), before + 2, 'definitions of both')
    for (const at of ['/ui/features?tab=definitions', '/ui/features/hostile?known_at=' + (await w.cut()), `/ui/features/${encodeURIComponent(w.hostile.img)}`, `/ui/features?q=${encodeURIComponent(w.hostile.img)}`, values(encodeURIComponent(w.hostile.js))]) {
      const bad = await w.open(at, { bare: true, expected: ['404'] })
      await w.settled(bad)
      same(await bad.evaluate(() => [window.__hit, document.querySelectorAll('main img, main script').length]), [null, 0], at)
      must(await bad.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${at} scrolls sideways`)
    }
    await fetch(`${w.base}/api/v1/features/definitions`, { method: 'POST', headers: { 'Content-Type': 'application/yaml' }, body: file })
    const list = await w.open('/ui/features?tab=definitions')
    await list.getByRole('button', { name: 'what changed' }).nth(2).click()
    await list.locator('.lines .added').filter({ hasText: 'onerror' }).waitFor({ timeout: waitMillis })
    return `${before} before`
  })

  check('33 definitions that could not be read cannot be applied', async () => {
    const page = await w.open('/ui/', { expected: ['500'] })
    await page.route('**/api/v1/features/definitions', r => r.fulfill({ status: 500, contentType: 'application/problem+json', body: '{"title":"a fault","detail":"of the test","status":500}' }))
    await page.goto(`${w.base}/ui/features`)
    await page.locator('.fault').filter({ hasText: 'of the test' }).first().waitFor({ timeout: waitMillis })
    const apply = page.getByRole('button', { name: 'Apply definitions' })
    must(await apply.isDisabled(), 'they are applied in place of what nobody has read')
    await page.unroute('**/api/v1/features/definitions')
    await page.getByRole('button', { name: 'Try again' }).first().click()
    await page.waitForFunction(() => document.querySelector('[data-focus=apply]')?.disabled === false, null, { timeout: waitMillis })
    w.take()
  })

  check('the models that were trained on a feature view are those of each of its versions', async () => {
    const page = await w.open('/ui/features/movie_features')
    const section = page.locator('section').filter({ has: page.getByRole('heading', { name: 'Models trained on it' }) })
    const want = []
    for (const v of (await w.get('/api/v1/features/views/movie_features/versions')).items.reverse()) {
      const models = (await w.get(`/api/v1/lineage?direction=downstream&node=feature-view/movie_features@v${v.version}`)).nodes.filter(n => n.startsWith('model/'))
      want.push([v.version, models.map(n => n.slice('model/'.length))])
    }
    must(want.some(([, models]) => models.length > 0), 'no model was trained on it')
    await section.locator('li').first().waitFor({ timeout: waitMillis })
    await w.settled(page)
    same(await section.locator('li').evaluateAll(all => all.map(li => [Number(li.querySelector('span').innerText.replace(/\D+/g, '')), [...li.querySelectorAll('a')].map(a => a.innerText)])), want, 'models')
    return `of ${want.length} versions`
  })

  check('27 features of before there were any are none, and nothing can be applied', async () => {
    const page = await w.open('/ui/features?known_at=2001-01-01', { expected: ['404'] })
    await w.settled(page)
    await page.locator('.empty').waitFor({ timeout: waitMillis })
    must(await page.getByRole('button', { name: 'Apply definitions' }).isDisabled(), 'the past can be changed')
    must(!(await page.locator('main').innerText()).includes('movie_features'), 'now is shown for then')
  })

  check('figures of features, beside those of a training set', async () => {
    const set = `figures-${Date.now()}`
    const people = (await w.get('/api/v1/users?limit=50')).items.map(u => `${u.user_id},${new Date().toISOString()}`)
    const made = await fetch(`${w.base}/api/v1/training-sets/${set}?features=user_features:interaction_count`, { method: 'POST', headers: { 'Content-Type': 'text/csv' }, body: `user_id,event_timestamp\n${people.join('\n')}\n` })
    must(made.ok, `a training set: ${made.status} ${await made.clone().text()}`)
    const page = await w.open('/ui/features/user_features?tab=figures')
    await page.getByRole('row').filter({ hasText: 'interaction_count' }).first().waitFor({ timeout: waitMillis })
    const want = (await w.get('/api/v1/features/statistics?view=user_features')).views[0].features.find(f => f.feature === 'interaction_count')
    same((await page.getByRole('row').filter({ hasText: 'interaction_count' }).first().locator('td').nth(1).innerText()).replaceAll(/\s/g, ''), String(want.count), 'values')
    await page.locator('[data-focus=against]').selectOption(`${set}@1`)
    await page.waitForURL(/against=figures-/, { timeout: waitMillis })
    await page.getByRole('columnheader', { name: 'PSI' }).waitFor({ timeout: waitMillis })
    const { drift } = (await w.get(`/api/v1/features/statistics?view=user_features&against=${set}@1`)).views[0].features.find(f => f.feature === 'interaction_count')
    must(Number.isFinite(drift.js), `the API does not compare: ${JSON.stringify(drift)}`)
    must(Math.abs(Number(await page.getByRole('row').filter({ hasText: 'interaction_count' }).first().locator('td').nth(8).innerText()) - drift.js) < 0.01, 'the distance is another')
  })

  // Some acts, judged.
  const judged = async () => {
    const films = (await w.get('/api/v1/movies?limit=60')).items.map(m => m.movie_id)
    for (let round = 0; round < 20; round++) {
      if ((await w.get('/api/v1/quality?window=hour')).total.judged >= 10) return
      for (let i = 0; i < 12; i++) await w.act(30 + ((round * 12 + i) % 60), films[(round * 7 + i * 5) % films.length])
      await w.caught()
    }
    must(false, 'nothing is judged')
  }

  check('quality: a point of the curve opens the facts that it is made of, and each leads to its event', async () => {
    await judged()
    const page = await w.open('/ui/quality?window=hour')
    await page.locator('.chart canvas').first().waitFor({ timeout: waitMillis })
    await page.locator('[role=grid] [data-row="0"]').locator('button').click()
    await page.locator('[data-acts]').waitFor({ timeout: waitMillis })
    await page.getByRole('button', { name: 'all', exact: true }).click()
    await page.locator('[data-acts] tbody tr').first().waitFor({ timeout: waitMillis })
    await w.settled(page)
    const url = new URL(page.url())
    const at = url.searchParams.get('at').split(' ')
    const c = (await w.get('/api/v1/quality?window=hour')).windows.find(x => x.from === at[0] && (x.model_name ?? '') === at[1] && String(x.model_version ?? '') === at[2])
    const acts = await w.get(`/api/v1/quality/acts?from=${c.from}&to=${c.to}&limit=200${c.model_name ? `&model=${c.model_name}&version=${c.model_version}` : ''}`)
    same(acts.items.length, Math.min(200, c.judged), 'facts of the point')
    const hits = acts.items.filter(a => a.ranks.served >= 1 && a.ranks.served <= 10).length
    must(acts.items.length > 100 || Math.abs(hits / acts.items.length - c.sources.served['hr@10']) < 1e-9, `${hits} of ${acts.items.length} are hits, the curve says ${c.sources.served['hr@10']}`)
    const fact = page.locator('[data-acts] tbody tr').first().locator('a.mono').first()
    const position = await fact.innerText()
    await fact.click()
    await page.locator('article.record').filter({ hasText: position }).waitFor({ timeout: waitMillis })
    return `${c.judged} judged`
  })

  check('quality: a day alone stands on an axis of days', async () => {
    await judged()
    const page = await w.open('/ui/models')
    await page.route('**/api/v1/quality?*', async r => {
      const a = await (await r.fetch()).json()
      await r.fulfill({ contentType: 'application/json', body: JSON.stringify({ ...a, windows: a.windows.slice(-1) }) })
    })
    await page.goto(`${w.base}/ui/quality?window=day`)
    await page.locator('.chart canvas').first().waitFor({ timeout: waitMillis })
    await w.settled(page)
    const plot = page.locator('.chart .u-over').first()
    await plot.hover()
    await w.pause(page, 100)
    const [box, point] = [await plot.boundingBox(), await page.locator('.chart .u-cursor-pt').first().boundingBox()]
    const share = (point.x + point.width / 2 - box.x) / box.width
    must(share > 0.2 && share < 0.5, `its point stands at ${share} of the axis`)
  })

  check('serving: what serves, how quick, and of the past what was known', async () => {
    for (let i = 0; i < 30; i++) await w.get(`/api/v1/recommendations?user_id=${i + 1}&k=5&record=false`)
    const page = await w.open('/ui/serving')
    await page.getByRole('row').filter({ hasText: 'rankings' }).waitFor({ timeout: waitMillis })
    const d = await w.get('/api/v1/deployments/production')
    must((await page.locator('main table').first().innerText()).includes(`${d.model} ${d.version}`), 'it does not show what serves')
    await w.settled(page)
    await w.live(page)
    await w.act(24, await movie())
    await page.locator('.news').waitFor({ timeout: waitMillis })
    const then = await w.open(`/ui/serving?known_at=${w.position}`)
    await w.settled(then)
    must((await then.locator('main').innerText()).includes('of the past it is not known'), 'it does not say that latency is of now')
    must((await then.locator('main table').first().innerText()).includes(w.position), 'the deployment of then is not shown')
    const never = await w.open('/ui/serving?known_at=2001-01-01')
    await w.settled(never)
    must(!(await never.locator('main').innerText()).includes(`${d.model} ${d.version}`), 'now is shown for then')
  })

  check('35 features, quality and serving of an empty program say so', async () => {
    const page = await w.open('/ui/', { base: w.locked, bare: true, expected: ['401'] })
    await page.locator('input[name=secret]').fill('sesame')
    await page.getByRole('button', { name: 'Begin' }).click()
    await page.getByRole('heading', { name: 'Overview' }).waitFor({ timeout: waitMillis })
    for (const at of ['/ui/quality', '/ui/serving']) {
      await page.goto(w.locked + at)
      await page.locator('.empty').first().waitFor({ timeout: waitMillis }).catch(() => must(false, `${at} does not say that it is empty`))
    }
    await page.goto(`${w.locked}/ui/features/movie_features?tab=values&key.movie_id=1`)
    await page.getByText('Nothing is known of this entity').waitFor({ timeout: waitMillis }).catch(() => must(false, 'features of nobody'))
    w.take()
  })
}
