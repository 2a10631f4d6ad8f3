function p(a,e={},...n){let t=document.createElement(a);for(let[i,o]of Object.entries(e))typeof o=="function"?t.addEventListener(i.slice(2),o):o!==void 0&&o!==!1&&t.setAttribute(i,o===!0?"":String(o));return t.append(...n),t}function y(a,e,...n){let t=p("style");t.textContent=n.join(`
`);let i=p("div",{class:`nbc-view nbc-${e}`});return a.replaceChildren(t,i),i}var A=0,h=class{constructor(e,n){this.model=e;this.handle=n;this.hear=(t,i)=>this.receive(t,i??[])}page=`${Date.now().toString(36)}-${A+=1}`;hear;ready=!1;open(){window.addEventListener("pagehide",this.leave),this.model.on("msg:custom",this.hear),this.handle({kind:"snapshot",data:this.model.get("snapshot")},[]),this.send({kind:"open"})}leave=()=>this.send({kind:"close"});receive(e,n){let t=e.kind==="snapshot"&&e.page&&e.page!==this.page;this.send({kind:"ack"}),!t&&(!this.ready&&e.kind!=="snapshot"||(this.ready=!0,this.handle(e,n)))}send(e,n){try{this.model.send({...e,page:this.page},void 0,n)}catch{}}close(){window.removeEventListener("pagehide",this.leave),this.model.off("msg:custom",this.hear),this.send({kind:"close"})}};var k={b:1,kb:1e3,mb:1e6,gb:1e9,tb:1e12,kib:1024,mib:1048576,gib:1073741824,tib:1099511627776,"%":1,\u00B5s:1e-6,ms:.001,s:1},R={second:1,minute:60,hour:3600,day:86400,week:604800,month:2592e3,year:31536e3};function M(a){let e=/^(?:up |exited \(\d+\) )?(less than an?|about an?|\d+) (second|minute|hour|day|week|month|year)s?\b/i.exec(a);if(e)return(Number.parseInt(e[1],10)||(e[1].toLowerCase().startsWith("less")?.5:1))*R[e[2].toLowerCase()];let n=/^(-?\d+(?:\.\d+)?)\s*([a-zµ%]*)(?:\s|$)/i.exec(a);if(!n)return null;let t=n[2].toLowerCase();return t&&!(t in k)?null:Number(n[1])*(k[t]??1)}function E(a,e,n){if(!a||!e)return(a?0:1)-(e?0:1);let[t,i]=[M(a),M(e)],o=t!==null&&i!==null?t-i:a.localeCompare(e,void 0,{numeric:!0,sensitivity:"base"});return n?-o:o}function S(a=document){let e=a.body.dataset.jpThemeLight;if(e==="true"||e==="false")return e==="true"?"light":"dark";let n=a.body.dataset.vscodeThemeKind;return n?n.includes("light")?"light":"dark":window.matchMedia?.("(prefers-color-scheme: dark)").matches?"dark":"light"}function L(a){let e,n=()=>{let o=S();o!==e&&a(e=o)};n();let t=new MutationObserver(n);t.observe(document.body,{attributes:!0,attributeFilter:["data-jp-theme-light","data-vscode-theme-kind"]});let i=window.matchMedia?.("(prefers-color-scheme: dark)");return i?.addEventListener("change",n),()=>{t.disconnect(),i?.removeEventListener("change",n)}}var T=`.nbc-view {
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
`;var C=`.nbc-page { background: none; border: 0; margin: 0; overflow: visible; }
.nbc-page .nbc-table thead th button.nbc-sort {
  background: none; border: 0; color: inherit; cursor: pointer; font: inherit; height: auto; letter-spacing: inherit; padding: 0;
}
.nbc-page .nbc-table thead th button.nbc-sort::after { content: "\u2195"; font-weight: 400; margin-left: 5px; opacity: 0; }
.nbc-page .nbc-table thead th button.nbc-sort:hover::after, .nbc-page .nbc-table thead th button.nbc-sort:focus-visible::after { opacity: .6; }
.nbc-page .nbc-table thead th[aria-sort="ascending"] button.nbc-sort::after { content: "\u2191"; opacity: 1; }
.nbc-page .nbc-table thead th[aria-sort="descending"] button.nbc-sort::after { content: "\u2193"; opacity: 1; }
.nbc-page .nbc-table tbody td.nbc-code { white-space: pre; }
.nbc-page .nbc-buttons { display: flex; gap: 6px; margin: 0 0 8px; }
.nbc-page .nbc-said { color: var(--nbc-quiet); min-height: 0; }
.nbc-page .nbc-said:empty { display: none; }
`;function J({model:a,el:e}){let n=y(e,"page",T,C),t=p("div"),i=p("div",{class:"nbc-said",role:"status","aria-live":"polite"});n.append(t,i);let o=-1,u=!1,v="";function w(r){if(r===v)return;v=r;let c=document.activeElement,b=c instanceof HTMLElement&&t.contains(c)?c.dataset.act??c.dataset.column:void 0;t.innerHTML=r;for(let f of t.querySelectorAll("table.nbc-table:not(.nbc-matrix):not(.nbc-stack)"))H(f);b&&t.querySelector(`[data-act="${b}"], [data-column="${b}"]`)?.focus()}function H(r){let c=r.tBodies[0],b=[...r.tHead?.rows[0]?.cells??[]];if(!c||c.rows.length<2)return;let f=[...c.rows];if(f.some(d=>/[├└]/.test(d.textContent??"")))return;let x=()=>{b.forEach((s,m)=>s.setAttribute("aria-sort",m===o?u?"descending":"ascending":"none"));let d=[...f],l=s=>s.cells[o]?.textContent?.trim()??"";o>=0&&d.sort((s,m)=>E(l(s),l(m),u)),c.append(...d)};b.forEach((d,l)=>{let s=p("button",{class:"nbc-sort",type:"button","data-column":l,title:`Sort by ${d.textContent}`},d.textContent??"");s.addEventListener("click",()=>{o!==l?[o,u]=[l,!1]:u?o=-1:u=!0,x()}),d.replaceChildren(s)}),o>=0&&x()}let g=new h(a,r=>{r.kind==="snapshot"?w(r.data.html):r.kind==="html"?w(r.data):r.kind==="said"&&(i.textContent=r.data)});t.addEventListener("click",r=>{let c=r.target.closest("[data-act]");c&&g.send({kind:"act",what:c.dataset.act})}),n.addEventListener("keydown",r=>{r.target.matches("button")&&r.stopPropagation()});let q=L(r=>n.dataset.mode=r);return g.open(),()=>{q(),g.close()}}export{J as render};
