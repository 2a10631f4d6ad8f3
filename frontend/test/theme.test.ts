import { afterEach, expect, it, vi } from "vitest";
import { follow, mode, PALETTE, type Mode } from "../src/lib/theme";

afterEach(() => {
  delete document.body.dataset["jpThemeLight"];
  delete document.body.dataset["vscodeThemeKind"];
});

it("follows JupyterLab's theme, then VS Code's", () => {
  expect(mode()).toBe("light");
  document.body.dataset["vscodeThemeKind"] = "vscode-dark";
  expect(mode()).toBe("dark");
  document.body.dataset["jpThemeLight"] = "true";
  expect(mode()).toBe("light");
});

it("hears of a change, until it is told to stop", async () => {
  const heard = vi.fn<(mode: Mode) => void>();
  const end = follow(heard);
  document.body.dataset["jpThemeLight"] = "false";
  await vi.waitFor(() => expect(heard.mock.calls.map(([now]) => now)).toEqual(["light", "dark"]));
  end();
  document.body.dataset["jpThemeLight"] = "true";
  await Promise.resolve();
  expect(heard).toHaveBeenCalledTimes(2);
});

function luminance(colour: string): number {
  const [r, g, b] = [1, 3, 5].map((start) => {
    const part = parseInt(colour.slice(start, start + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

it("has colours that stand out by 3:1 from the ground they are on (WCAG 1.4.11)", () => {
  for (const [ground, at] of [["#ffffff", "light"], ["#12161c", "dark"]] as const) {
    for (const colour of PALETTE[at]) {
      const [low, high] = [luminance(ground), luminance(colour)].sort((a, b) => a - b);
      expect((high! + 0.05) / (low! + 0.05), colour).toBeGreaterThanOrEqual(3);
    }
  }
});
