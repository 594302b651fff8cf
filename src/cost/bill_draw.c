/* The picture of bills. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "cost/bill.h"
#include "cost/plot.h"

enum { TOP = 70, BELOW = 60 };

static const char *const colors[CAIRN_BILL_DRAWN_MAX] = {"#b2182b", "#2166ac", "#1b9e50", "#8c6bb1",
                                                         "#d98c3a", "#5ab4d6", "#7f7f00", "#c51b7d"};

static double machines_a_million(const struct cairn_machine_price *machine, uint64_t count, double rate)
{
    return (double)count * machine->hour * 24 / rate * 1e6;
}

/* From a hundredth of the least rate to a hundred times the greatest, and to where the largest machine is even. */
static struct plot_axes axes_of(const struct cairn_prices *prices, const struct cairn_bill *bills, size_t count,
                                uint64_t machines)
{
    struct plot_axes axes = plot_axes(TOP);

    for (size_t i = 0; i < count; i++) {
        plot_widen_rate(&axes, bills[i].requests_day / 100);
        plot_widen_rate(&axes, bills[i].requests_day * 100);
        for (uint32_t m = 0; m < prices->machine_count; m++)
            plot_widen_rate(&axes, cairn_bill_even(&bills[i], &prices->machines[m], machines));
        plot_widen(&axes, bills[i].request * 1e6);
    }
    plot_settle(&axes);
    for (uint32_t m = 0; m < prices->machine_count; m++) {
        plot_widen(&axes, machines_a_million(&prices->machines[m], machines, pow(10, axes.left)));
        plot_widen(&axes, machines_a_million(&prices->machines[m], machines, pow(10, axes.right)));
    }
    return axes;
}

static void draw_bill(const struct plot_axes *axes, const struct cairn_bill *bill, const char *color, double *legend,
                      struct cairn_buf *to)
{
    double cost = bill->request * 1e6;
    char text[128], style[80];

    snprintf(style, sizeof style, "stroke=\"%s\" stroke-width=\"2.5\"", color);
    if (cost > 0) {
        double y = plot_y(axes, cost);

        plot_line(to, PLOT_MARGIN, y, PLOT_MARGIN + PLOT_WIDTH, y, style);
        cairn_buf_printf(to, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\" fill=\"%s\"/>\n",
                         plot_x(axes, bill->requests_day), y, color);
    }
    snprintf(text, sizeof text, "%s: %.3g", bill->name, cost);
    plot_legend(to, legend, style, text);
}

void cairn_bill_draw(const struct cairn_prices *prices, const struct cairn_bill *bills, size_t count, uint64_t machines,
                     struct cairn_buf *to)
{
    size_t drawn = count < CAIRN_BILL_DRAWN_MAX ? count : CAIRN_BILL_DRAWN_MAX;
    struct plot_axes axes = axes_of(prices, bills, drawn, machines);
    double left = pow(10, axes.left), right = pow(10, axes.right), legend = TOP + 8,
           lines = (double)PLOT_LEGEND_STEP * (double)(drawn + prices->machine_count);
    char title[192], text[96];

    snprintf(title, sizeof title, "What was metered as functions, and machines, at the prices of %s, %s", prices->name,
             prices->date);
    plot_begin(to, TOP + fmax(PLOT_HEIGHT, lines) + BELOW, title);
    plot_grid(to, &axes, "dollars a million requests; a dot where the rate was");
    for (size_t i = 0; i < drawn; i++)
        draw_bill(&axes, &bills[i], colors[i], &legend, to);
    for (uint32_t m = 0; m < prices->machine_count; m++) {
        const struct cairn_machine_price *machine = &prices->machines[m];
        double most = machines_a_million(machine, machines, left), least = machines_a_million(machine, machines, right);

        if (least > 0)
            plot_line(to, plot_x(&axes, left), plot_y(&axes, most), plot_x(&axes, right), plot_y(&axes, least),
                      "stroke=\"#888\" stroke-dasharray=\"6 3\"");
        snprintf(text, sizeof text, "%" PRIu64 " x %s", machines, machine->name);
        plot_legend(to, &legend, "stroke=\"#888\" stroke-dasharray=\"6 3\"", text);
    }
    plot_end(to);
}
