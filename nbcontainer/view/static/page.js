function b(r,e={},...t){let n=document.createElement(r);for(let[i,a]of Object.entries(e))typeof a=="function"?n.addEventListener(i.slice(2),a):a!==void 0&&a!==!1&&n.setAttribute(i,a===!0?"":String(a));return n.append(...t),n}function h(r,e,...t){let n=b("style");n.textContent=t.join(`
`);let i=b("div",{class:`nbc-view nbc-${e}`});return r.replaceChildren(n,i),i}var M=0,l=class{constructor(e,t){this.model=e;this.handle=t;this.hear=(n,i)=>this.receive(n,i??[])}page=`${Date.now().toString(36)}-${M+=1}`;hear;ready=!1;given=()=>this.handle({kind:"snapshot",data:this.model.get("snapshot")},[]);open(){window.addEventListener("pagehide",this.leave),this.model.on("msg:custom",this.hear),this.model.on("change:snapshot",this.given),this.given(),this.send({kind:"open"})}leave=()=>this.send({kind:"close"});receive(e,t){let n=e.kind==="snapshot"&&e.page&&e.page!==this.page;this.send({kind:"ack"}),!n&&(!this.ready&&e.kind!=="snapshot"||(this.ready=!0,this.handle(e,t)))}send(e,t){try{this.model.send({...e,page:this.page},void 0,t)}catch{}}close(){window.removeEventListener("pagehide",this.leave),this.model.off("msg:custom",this.hear),this.model.off("change:snapshot",this.given),this.send({kind:"close"})}};function E(r=document){let e=r.body.dataset.jpThemeLight;if(e==="true"||e==="false")return e==="true"?"light":"dark";let t=r.body.dataset.vscodeThemeKind;return t?t.includes("light")?"light":"dark":window.matchMedia?.("(prefers-color-scheme: dark)").matches?"dark":"light"}function g(r){let e,t=()=>{let a=E();a!==e&&r(e=a)};t();let n=new MutationObserver(t);n.observe(document.body,{attributes:!0,attributeFilter:["data-jp-theme-light","data-vscode-theme-kind"]});let i=window.matchMedia?.("(prefers-color-scheme: dark)");return i?.addEventListener("change",t),()=>{n.disconnect(),i?.removeEventListener("change",t)}}var m=`.nbc-view {
  --nbc-ground: #ffffff;
  --nbc-raised: #f5f7fa;
  --nbc-ink: #1c2430;
  --nbc-quiet: #5b6675;
  --nbc-line: #d9dfe7;
  --nbc-accent: #0067b1;
  --nbc-good: #12805c;
  --nbc-bad: #c0392b;
  --nbc-wait: #9a6700;
  --nbc-mono: var(--jp-code-font-family, ui-monospace, SFMono-Regular, Menlo, Consolas, monospace);
  background: var(--nbc-ground);
  border: 1px solid var(--nbc-line);
  border-radius: 8px;
  box-sizing: border-box;
  color: var(--nbc-ink);
  font: 13px/1.45 var(--jp-ui-font-family, system-ui, sans-serif);
  margin: 4px 0 8px;
  overflow: hidden;
  position: relative;
}
.nbc-view[data-mode="dark"] {
  --nbc-ground: #12161c;
  --nbc-raised: #1b2129;
  --nbc-ink: #e4e9f0;
  --nbc-quiet: #9aa6b5;
  --nbc-line: #2d3641;
  --nbc-accent: #6cb6ff;
  --nbc-good: #4cc38a;
  --nbc-bad: #ff8178;
  --nbc-wait: #e3b341;
}
.nbc-view *, .nbc-view *::before { box-sizing: border-box; }
.nbc-view .nbc-bar {
  align-items: center; background: var(--nbc-raised); border-bottom: 1px solid var(--nbc-line); display: flex;
  flex-wrap: wrap; gap: 6px 10px; min-height: 34px; padding: 3px 10px;
}
.nbc-view .nbc-name { font-weight: 600; }
.nbc-view .nbc-quiet { color: var(--nbc-quiet); }
.nbc-view .nbc-code { font-family: var(--nbc-mono); font-size: 12px; }
.nbc-view .nbc-space { flex: 1; }
.nbc-view button, .nbc-view select, .nbc-view input[type="search"] {
  background: var(--nbc-ground); border: 1px solid var(--nbc-line); border-radius: 5px; color: var(--nbc-ink);
  font: inherit; font-size: 12px; height: 26px; line-height: 1; margin: 0; padding: 0 9px;
}
.nbc-view button { cursor: pointer; }
.nbc-view button:hover { border-color: var(--nbc-quiet); }
.nbc-view button:disabled { cursor: default; opacity: .45; }
.nbc-view button[aria-pressed="true"] { background: var(--nbc-accent); border-color: var(--nbc-accent); color: var(--nbc-ground); }
.nbc-view :focus-visible { outline: 2px solid var(--nbc-accent); outline-offset: 1px; }
.nbc-view .nbc-dot {
  border: 1.5px solid currentColor; border-radius: 50%; display: inline-block; flex: none; height: 8px; width: 8px;
}
.nbc-view .nbc-dot.good { background: var(--nbc-good); border-color: var(--nbc-good); }
.nbc-view .nbc-dot.bad { background: var(--nbc-bad); border-color: var(--nbc-bad); border-radius: 1px; }
.nbc-view .nbc-dot.wait { background: var(--nbc-wait); border-color: var(--nbc-wait); }
.nbc-view .nbc-hidden {
  clip-path: inset(50%); height: 1px; overflow: hidden; position: absolute; white-space: nowrap; width: 1px;
}
`;var w=`.nbc-page { background: none; border: 0; margin: 0; overflow: visible; }
.nbc-page .nbc-table tbody td.nbc-code { white-space: pre; }
.nbc-page .nbc-buttons { display: flex; gap: 6px; margin: 0 0 8px; }
.nbc-page .nbc-said { color: var(--nbc-quiet); min-height: 0; }
.nbc-page .nbc-said:empty { display: none; }
`;function P({model:r,el:e}){let t=h(e,"page",m,w),n=b("div"),i=b("div",{class:"nbc-said",role:"status","aria-live":"polite"});t.append(n,i);let a="",c=()=>[...n.querySelectorAll("input")];function f(o){if(o===a)return;a=o;let d=document.activeElement,u=d instanceof HTMLElement&&n.contains(d)?d.dataset.act:void 0,v=c().map(s=>s.checked),y=c().findIndex(s=>s===d);n.innerHTML=o,c().length===v.length&&(c().forEach((s,k)=>s.checked=v[k]),c()[y]?.focus()),u&&n.querySelector(`[data-act="${u}"]`)?.focus()}let p=new l(r,o=>{o.kind==="snapshot"?f(o.data.html):o.kind==="html"?f(o.data):o.kind==="said"&&(i.textContent=o.data)});n.addEventListener("click",o=>{let d=o.target.closest("[data-act]");d&&p.send({kind:"act",what:d.dataset.act})}),t.addEventListener("keydown",o=>{o.target.matches("button")&&o.stopPropagation()});let x=g(o=>t.dataset.mode=o);return p.open(),()=>{x(),p.close()}}export{P as render};
