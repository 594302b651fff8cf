#include "cost/draw.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "cost/plot.h"

enum {
    PLOT_SPACE = 90, /* below a plot and above the next */
    CELL_WIDTH = 80,
    CELL_HEIGHT = 22,
    LETTER_WIDTH = 7, /* about */
};

static const char *const line_colors[CAIRN_KEEPER_STORAGES] = {"#b2182b", "#2166ac"};
static const char *const machine_colors[] = {"#7f7f00", "#1b9e50", "#5ab4d6", "#8c6bb1", "#d98c3a"};

static double machines_a_million(const struct cairn_keeper_plan *plan, uint32_t count, uint32_t machine, double rate)
{
    return cairn_keeper_machines_cost(plan->machines[machine], plan->counts[count]) / rate * 1e6;
}

static double functions_a_million(const struct cairn_keeper_plan *plan, uint32_t read, uint32_t storage)
{
    return 1e6 * cairn_keeper_request_cost(plan->prices, &plan->work, plan->storages[storage],
                                           (double)plan->reads[read] / 100);
}

/* A power of ten beyond the least and the most requests, so that there is a line even for one rate. */
static struct plot_axes axes_of(const struct cairn_keeper_plan *plan, uint32_t read, double y)
{
    struct plot_axes axes = plot_axes(y);

    for (uint32_t i = 0; i < plan->rate_count; i++)
        plot_widen_rate(&axes, (double)plan->rates[i]);
    for (uint32_t i = 0; i < plan->storage_count; i++)
        plot_widen(&axes, functions_a_million(plan, read, i));
    for (uint32_t c = 0; c < plan->count_count; c++) {
        for (uint32_t m = 0; m < plan->machine_count; m++) {
            plot_widen(&axes, machines_a_million(plan, c, m, pow(10, axes.left)));
            plot_widen(&axes, machines_a_million(plan, c, m, pow(10, axes.right)));
        }
    }
    plot_settle(&axes);
    return axes;
}

/* Functions cost the same a request, whatever the rate; machines the less, the more there are. */
static void draw_plot(const struct cairn_keeper_plan *plan, uint32_t read, double y, struct cairn_buf *to)
{
    struct plot_axes axes = axes_of(plan, read, y);
    double left = pow(10, axes.left), right = pow(10, axes.right), legend = y + 8;
    char text[96], style[80];

    snprintf(text, sizeof text, "%" PRIu64 " %% reads: dollars a million requests", plan->reads[read]);
    plot_grid(to, &axes, text);
    for (uint32_t i = 0; i < plan->storage_count; i++) {
        double cost = functions_a_million(plan, read, i);

        snprintf(style, sizeof style, "stroke=\"%s\" stroke-width=\"2.5\"", line_colors[plan->storages[i]]);
        if (cost > 0)
            plot_line(to, PLOT_MARGIN, plot_y(&axes, cost), PLOT_MARGIN + PLOT_WIDTH, plot_y(&axes, cost), style);
        snprintf(text, sizeof text, "functions, %s: %.3g", cairn_keeper_storage_name(plan->storages[i]), cost);
        plot_legend(to, &legend, style, text);
    }
    for (uint32_t c = 0; c < plan->count_count; c++) {
        for (uint32_t m = 0; m < plan->machine_count; m++) {
            double most = machines_a_million(plan, c, m, left), least = machines_a_million(plan, c, m, right);

            snprintf(style, sizeof style, "stroke=\"%s\"%s",
                     machine_colors[m % (sizeof machine_colors / sizeof machine_colors[0])],
                     c ? " stroke-dasharray=\"6 3\"" : "");
            if (least > 0)
                plot_line(to, plot_x(&axes, left), plot_y(&axes, most), plot_x(&axes, right), plot_y(&axes, least),
                          style);
            snprintf(text, sizeof text, "%" PRIu64 " x %s", plan->counts[c], plan->machines[m]->name);
            plot_legend(to, &legend, style, text);
        }
    }
}

/* White at 1, red where machines are cheaper, blue where functions are; the strongest at a factor of 100. */
static void add_color(struct cairn_buf *to, double ratio)
{
    double power = ratio > 0 ? fmax(-1, fmin(1, log10(ratio) / 2)) : -1, rest = 1 - fabs(power);
    int red = power < 0 ? 178 : 33, green = power < 0 ? 24 : 102, blue = power < 0 ? 43 : 172;

    cairn_buf_printf(to, "#%02x%02x%02x", (unsigned)(red + (255 - red) * rest),
                     (unsigned)(green + (255 - green) * rest), (unsigned)(blue + (255 - blue) * rest));
}

static void draw_cell(double x, double y, double ratio, struct cairn_buf *to)
{
    char text[32] = "-";

    cairn_buf_printf(to, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"%d\" stroke=\"#fff\" fill=\"", x, y,
                     CELL_WIDTH, CELL_HEIGHT);
    add_color(to, ratio);
    cairn_buf_str(to, "\"/>\n");
    if (isfinite(ratio))
        snprintf(text, sizeof text, "%.2f", ratio); /* else functions are free */
    plot_text(to, x + CELL_WIDTH - 6, y + CELL_HEIGHT - 7, "end", ratio > 20 || ratio < 0.05 ? "#fff" : "#222", text);
}

/* In front of a row of a map: "9 x t3.large". */
static double label_width(const struct cairn_keeper_plan *plan)
{
    size_t letters = 12;

    for (uint32_t i = 0; i < plan->machine_count; i++)
        if (strlen(plan->machines[i]->name) + 7 > letters)
            letters = strlen(plan->machines[i]->name) + 7;
    return (double)LETTER_WIDTH * (double)letters;
}

/* From a plot to what comes below it: the legend may be higher than the plot. */
static double plot_step(const struct cairn_keeper_plan *plan)
{
    uint32_t lines = plan->storage_count + plan->count_count * plan->machine_count;

    return PLOT_SPACE + fmax(PLOT_HEIGHT, (double)PLOT_LEGEND_STEP * lines);
}

static double draw_map(const struct cairn_keeper_plan *plan, uint32_t read, uint32_t storage, double y,
                       struct cairn_buf *to)
{
    double left = PLOT_MARGIN + label_width(plan);
    char text[96];

    snprintf(text, sizeof text, "machines : functions, %" PRIu64 " %% reads, %s", plan->reads[read],
             cairn_keeper_storage_name(plan->storages[storage]));
    plot_text(to, PLOT_MARGIN, y, "start", "#222", text);
    y += 8;
    for (uint32_t i = 0; i < plan->rate_count; i++) {
        snprintf(text, sizeof text, "%" PRIu64, plan->rates[i]);
        plot_text(to, left + CELL_WIDTH * (i + 1.0) - 6, y + 14, "end", "#222", text);
    }
    y += 20;
    for (uint32_t c = 0; c < plan->count_count; c++) {
        for (uint32_t m = 0; m < plan->machine_count; m++) {
            snprintf(text, sizeof text, "%" PRIu64 " x %s", plan->counts[c], plan->machines[m]->name);
            plot_text(to, PLOT_MARGIN, y + CELL_HEIGHT - 7, "start", "#222", text);
            for (uint32_t i = 0; i < plan->rate_count; i++)
                draw_cell(left + CELL_WIDTH * (double)i, y, cairn_keeper_plan_ratio(plan, read, storage, c, m, i), to);
            y += CELL_HEIGHT;
        }
    }
    return y + 34;
}

void cairn_keeper_draw(const struct cairn_keeper_plan *plan, struct cairn_buf *to)
{
    double maps = plan->read_count * plan->storage_count,
           map_height = 62 + (double)CELL_HEIGHT * plan->count_count * plan->machine_count,
           height = 70 + plot_step(plan) * plan->read_count + maps * map_height, y = 70;
    char title[192];

    snprintf(title, sizeof title, "ZooKeeper's service: functions and machines, at the prices of %s, %s",
             plan->prices->name, plan->prices->date);
    plot_begin(to, height, title);
    for (uint32_t i = 0; i < plan->read_count; i++, y += plot_step(plan))
        draw_plot(plan, i, y, to);
    for (uint32_t i = 0; i < plan->read_count; i++)
        for (uint32_t j = 0; j < plan->storage_count; j++)
            y = draw_map(plan, i, j, y, to);
    plot_end(to);
}
