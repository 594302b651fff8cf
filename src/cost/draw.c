#include "cost/draw.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum {
    WIDTH = 960,
    MARGIN = 60,
    PLOT_WIDTH = 560,
    PLOT_HEIGHT = 300,
    PLOT_SPACE = 90, /* below it and above the next */
    LEGEND_STEP = 18,
    CELL_WIDTH = 80,
    CELL_HEIGHT = 22,
    LETTER_WIDTH = 7, /* about */
};

static const char *const line_colors[CAIRN_KEEPER_STORAGES] = {"#b2182b", "#2166ac"};
static const char *const machine_colors[] = {"#7f7f00", "#1b9e50", "#5ab4d6", "#8c6bb1", "#d98c3a"};

/* Of a plot: both axes count in powers of ten. */
struct axes {
    double left, right, bottom, top; /* powers */
    double y;                        /* of the plot's upper edge */
};

static double at_x(const struct axes *axes, double value)
{
    return MARGIN + (log10(value) - axes->left) / (axes->right - axes->left) * PLOT_WIDTH;
}

static double at_y(const struct axes *axes, double value)
{
    return axes->y + PLOT_HEIGHT - (log10(value) - axes->bottom) / (axes->top - axes->bottom) * PLOT_HEIGHT;
}

/* Text of price lists: names may have what means something in SVG. */
static void add_text(struct cairn_buf *to, const char *text)
{
    for (; *text; text++) {
        if (*text == '<' || *text == '&' || *text == '>')
            cairn_buf_printf(to, "&#%d;", *text);
        else
            cairn_buf_u8(to, (uint8_t)*text);
    }
}

static void open_text(struct cairn_buf *to, double x, double y, const char *anchor, const char *color)
{
    cairn_buf_printf(to, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"%s\">", x, y, anchor, color);
}

static void label(struct cairn_buf *to, double x, double y, const char *anchor, const char *text)
{
    open_text(to, x, y, anchor, "#222");
    add_text(to, text);
    cairn_buf_str(to, "</text>\n");
}

static void line(struct cairn_buf *to, double x1, double y1, double x2, double y2, const char *style)
{
    cairn_buf_printf(to, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>\n", x1, y1, x2, y2, style);
}

static double machines_a_million(const struct cairn_keeper_plan *plan, uint32_t count, uint32_t machine, double rate)
{
    return cairn_keeper_machines_cost(plan->machines[machine], plan->counts[count]) / rate * 1e6;
}

static double functions_a_million(const struct cairn_keeper_plan *plan, uint32_t read, uint32_t storage)
{
    return 1e6 * cairn_keeper_request_cost(plan->prices, &plan->work, plan->storages[storage],
                                           (double)plan->reads[read] / 100);
}

static void widen(struct axes *axes, double value)
{
    if (value > 0) {
        axes->bottom = fmin(axes->bottom, floor(log10(value)));
        axes->top = fmax(axes->top, ceil(log10(value)));
    }
}

/* A power of ten beyond the least and the most requests, so that there is a line even for one rate. */
static struct axes axes_of(const struct cairn_keeper_plan *plan, uint32_t read, double y)
{
    struct axes axes = {.left = INFINITY, .right = -INFINITY, .bottom = INFINITY, .top = -INFINITY, .y = y};

    for (uint32_t i = 0; i < plan->rate_count; i++) {
        axes.left = fmin(axes.left, floor(log10((double)plan->rates[i])));
        axes.right = fmax(axes.right, floor(log10((double)plan->rates[i])) + 1);
    }
    for (uint32_t i = 0; i < plan->storage_count; i++)
        widen(&axes, functions_a_million(plan, read, i));
    for (uint32_t c = 0; c < plan->count_count; c++) {
        for (uint32_t m = 0; m < plan->machine_count; m++) {
            widen(&axes, machines_a_million(plan, c, m, pow(10, axes.left)));
            widen(&axes, machines_a_million(plan, c, m, pow(10, axes.right)));
        }
    }
    if (axes.bottom > axes.top)
        axes.bottom = axes.top = 0; /* everything is free */
    if (axes.bottom == axes.top)
        axes.top++;
    return axes;
}

static void draw_grid(struct cairn_buf *to, const struct axes *axes, uint64_t reads)
{
    char text[96];

    for (double power = axes->left; power <= axes->right; power++) {
        double x = at_x(axes, pow(10, power));

        line(to, x, axes->y, x, axes->y + PLOT_HEIGHT, "stroke=\"#ddd\"");
        snprintf(text, sizeof text, "%.0f", pow(10, power));
        label(to, x, axes->y + PLOT_HEIGHT + 16, "middle", text);
    }
    for (double power = axes->bottom; power <= axes->top; power++) {
        double y = at_y(axes, pow(10, power));

        line(to, MARGIN, y, MARGIN + PLOT_WIDTH, y, "stroke=\"#ddd\"");
        snprintf(text, sizeof text, "%g", pow(10, power));
        label(to, MARGIN - 6, y + 4, "end", text);
    }
    snprintf(text, sizeof text, "%" PRIu64 " %% reads: dollars a million requests", reads);
    label(to, MARGIN, axes->y - 10, "start", text);
    label(to, MARGIN + PLOT_WIDTH / 2, axes->y + PLOT_HEIGHT + 34, "middle", "requests a day");
}

/* Functions cost the same a request, whatever the rate; machines the less, the more there are. */
static void draw_plot(const struct cairn_keeper_plan *plan, uint32_t read, double y, struct cairn_buf *to)
{
    struct axes axes = axes_of(plan, read, y);
    double left = pow(10, axes.left), right = pow(10, axes.right), legend = y + 8;
    char text[96], style[80];

    draw_grid(to, &axes, plan->reads[read]);
    for (uint32_t i = 0; i < plan->storage_count; i++) {
        double cost = functions_a_million(plan, read, i);

        snprintf(style, sizeof style, "stroke=\"%s\" stroke-width=\"2.5\"", line_colors[plan->storages[i]]);
        if (cost > 0)
            line(to, MARGIN, at_y(&axes, cost), MARGIN + PLOT_WIDTH, at_y(&axes, cost), style);
        line(to, MARGIN + PLOT_WIDTH + 20, legend, MARGIN + PLOT_WIDTH + 44, legend, style);
        snprintf(text, sizeof text, "functions, %s: %.3g", cairn_keeper_storage_name(plan->storages[i]), cost);
        label(to, MARGIN + PLOT_WIDTH + 50, legend + 4, "start", text);
        legend += LEGEND_STEP;
    }
    for (uint32_t c = 0; c < plan->count_count; c++) {
        for (uint32_t m = 0; m < plan->machine_count; m++) {
            double most = machines_a_million(plan, c, m, left), least = machines_a_million(plan, c, m, right);

            snprintf(style, sizeof style, "stroke=\"%s\"%s",
                     machine_colors[m % (sizeof machine_colors / sizeof machine_colors[0])],
                     c ? " stroke-dasharray=\"6 3\"" : "");
            if (least > 0)
                line(to, at_x(&axes, left), at_y(&axes, most), at_x(&axes, right), at_y(&axes, least), style);
            line(to, MARGIN + PLOT_WIDTH + 20, legend, MARGIN + PLOT_WIDTH + 44, legend, style);
            snprintf(text, sizeof text, "%" PRIu64 " x %s", plan->counts[c], plan->machines[m]->name);
            label(to, MARGIN + PLOT_WIDTH + 50, legend + 4, "start", text);
            legend += LEGEND_STEP;
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
    cairn_buf_printf(to, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"%d\" stroke=\"#fff\" fill=\"", x, y,
                     CELL_WIDTH, CELL_HEIGHT);
    add_color(to, ratio);
    cairn_buf_str(to, "\"/>\n");
    open_text(to, x + CELL_WIDTH - 6, y + CELL_HEIGHT - 7, "end", ratio > 20 || ratio < 0.05 ? "#fff" : "#222");
    if (isfinite(ratio))
        cairn_buf_printf(to, "%.2f</text>\n", ratio);
    else
        cairn_buf_str(to, "-</text>\n"); /* functions are free */
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

    return PLOT_SPACE + fmax(PLOT_HEIGHT, (double)LEGEND_STEP * lines);
}

static double draw_map(const struct cairn_keeper_plan *plan, uint32_t read, uint32_t storage, double y,
                       struct cairn_buf *to)
{
    double left = MARGIN + label_width(plan);
    char text[96];

    snprintf(text, sizeof text, "machines : functions, %" PRIu64 " %% reads, %s", plan->reads[read],
             cairn_keeper_storage_name(plan->storages[storage]));
    label(to, MARGIN, y, "start", text);
    y += 8;
    for (uint32_t i = 0; i < plan->rate_count; i++) {
        snprintf(text, sizeof text, "%" PRIu64, plan->rates[i]);
        label(to, left + CELL_WIDTH * (i + 1.0) - 6, y + 14, "end", text);
    }
    y += 20;
    for (uint32_t c = 0; c < plan->count_count; c++) {
        for (uint32_t m = 0; m < plan->machine_count; m++) {
            snprintf(text, sizeof text, "%" PRIu64 " x %s", plan->counts[c], plan->machines[m]->name);
            label(to, MARGIN, y + CELL_HEIGHT - 7, "start", text);
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

    cairn_buf_printf(
        to,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" font-family=\"sans-serif\" "
        "font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
        WIDTH, height);
    open_text(to, MARGIN, 28, "start", "#222");
    cairn_buf_str(to, "ZooKeeper's service: functions and machines, at the prices of ");
    add_text(to, plan->prices->name);
    cairn_buf_str(to, ", ");
    add_text(to, plan->prices->date);
    cairn_buf_str(to, "</text>\n");
    for (uint32_t i = 0; i < plan->read_count; i++, y += plot_step(plan))
        draw_plot(plan, i, y, to);
    for (uint32_t i = 0; i < plan->read_count; i++)
        for (uint32_t j = 0; j < plan->storage_count; j++)
            y = draw_map(plan, i, j, y, to);
    cairn_buf_str(to, "</svg>\n");
}
